//! The page on which an owner allows or refuses the client's access.

/// Returns the page. Its form posts `owner`, one of `owners` or another text, to the page's own address.
pub fn page(owners: &[String], client_id: &str, scope: &str) -> String {
    let client_id = escape(client_id);
    let scopes: String =
        scope.split(' ').map(|word| format!("<li><code>{}</code></li>", escape(word))).collect();
    let buttons: String = owners.iter().map(|owner| button(owner)).collect();
    format!(
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Allow access? – stand-in for Pleo</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<p class="note">This is a stand-in for Pleo on this computer. No real account is involved.</p>
<h1>Allow access?</h1>
<p>The application <strong>{client_id}</strong> asks to see:</p>
<ul>{scopes}</ul>
<form method="post">
{buttons}<button class="no" name="owner" value="nobody">No, do not allow</button>
</form>
</main>
</body>
</html>
"#
    )
}

fn button(owner: &str) -> String {
    let owner = escape(owner);
    let name = owner.rsplit(':').next().unwrap_or_default();
    format!("<button name=\"owner\" value=\"{owner}\">Allow, for {name}</button>\n")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = "
:root { color-scheme: light dark; }
body { margin: 0; font: 1.0625rem/1.5 system-ui, sans-serif; background: Canvas; color: CanvasText; }
main { max-width: 26rem; margin: 0 auto; padding: 2rem 1.25rem; }
h1 { font-size: 1.6rem; margin: 1.5rem 0 0.5rem; }
.note { margin: 0; padding: 0.6rem 0.9rem; border: 1px dashed GrayText; border-radius: 0.5rem; font-size: 0.9rem; }
form { display: grid; gap: 0.75rem; margin-top: 1.5rem; }
button { font: inherit; font-weight: 600; min-height: 3rem; border: 2px solid CanvasText; border-radius: 0.5rem;
  background: CanvasText; color: Canvas; cursor: pointer; }
button.no { background: Canvas; color: CanvasText; }
button:focus-visible { outline: 3px solid Highlight; outline-offset: 2px; }
";
