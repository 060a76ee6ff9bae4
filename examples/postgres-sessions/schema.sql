-- One row for each authorization. The snapshot holds its tokens: give no one else access to this table.
CREATE TABLE oauth_sessions (
    key      text   PRIMARY KEY,
    -- What a save is compared by.
    revision bigint NOT NULL,
    snapshot jsonb  NOT NULL
);
