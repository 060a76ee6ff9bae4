CREATE TABLE IF NOT EXISTS oauth_sessions (
    key      TEXT    PRIMARY KEY,
    revision INTEGER NOT NULL,
    snapshot TEXT    NOT NULL
) STRICT;
