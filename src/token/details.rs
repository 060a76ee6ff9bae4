//! The authorization details that were granted (RFC 9396 §7).

use std::fmt;

use serde_json::{Map, Value};

use crate::error::Error;
use crate::text::foreign::Foreign;
use crate::token::TokenResponse;

impl TokenResponse {
    /// Returns the details that the user and the server granted for the access token (RFC 9396 §7); none
    /// where the response has none.
    ///
    /// The server may grant fewer than were requested, and may add to them, for example the account that the
    /// user chose (§7.1). Compare them with the requested ones by the API's definition of their type (§6.1);
    /// this crate cannot.
    ///
    /// ```
    /// # use oauth2_proto::{AuthorizationServer, Client, ClientAuth, TokenResponse};
    /// # fn main() -> Result<(), oauth2_proto::Error> {
    /// # let server = AuthorizationServer::new(
    /// #     "https://as.example/authorize",
    /// #     "https://as.example/token",
    /// # )?;
    /// # let client = Client::new(server, "client-id", ClientAuth::none())?;
    /// let tokens = TokenResponse::for_test(
    ///     &client,
    ///     r#"{"access_token":"fake-1","token_type":"Bearer","authorization_details":[
    ///         {"type":"account_information","actions":["list_accounts"]}]}"#,
    /// )?;
    /// let details = tokens.authorization_details()?;
    /// assert_eq!(details[0].type_name(), "account_information");
    /// assert_eq!(details[0].get("actions").unwrap()[0], "list_accounts");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Invalid, if the member is no array of objects with a text `type` each. The tokens still work; their
    /// details are then unknown.
    pub fn authorization_details(&self) -> Result<Vec<AuthorizationDetail<'_>>, Error> {
        let wrong = || {
            Error::invalid(
                "authorization_details is no array of objects with a text `type` each (RFC 9396 section 2)",
            )
        };
        match self.extra("authorization_details") {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(details)) => {
                details.iter().map(|detail| AuthorizationDetail::of(detail).ok_or_else(wrong)).collect()
            }
            Some(_) => Err(wrong()),
        }
    }
}

/// One authorization detail that was granted; its other fields are those of its type.
///
/// `Debug` shows the type only.
#[derive(Clone, Copy)]
pub struct AuthorizationDetail<'a> {
    type_name: &'a str,
    fields: &'a Map<String, Value>,
}

impl<'a> AuthorizationDetail<'a> {
    fn of(detail: &'a Value) -> Option<Self> {
        let fields = detail.as_object()?;
        let type_name = fields.get("type")?.as_str().filter(|name| !name.is_empty())?;
        Some(Self { type_name, fields })
    }

    /// Returns the `type`, which says what the other fields mean (RFC 9396 §2).
    pub fn type_name(&self) -> &'a str {
        self.type_name
    }

    /// Returns a field, such as the common ones `locations`, `actions`, `datatypes`, `identifier` and
    /// `privileges` (RFC 9396 §2.2).
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name)
    }
}

impl fmt::Debug for AuthorizationDetail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationDetail").field("type", &Foreign(self.type_name)).finish_non_exhaustive()
    }
}
