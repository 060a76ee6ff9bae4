-- One row for each authorization. The snapshot contains its tokens: restrict access to this table.
CREATE TABLE oauth_sessions (
    key      text   PRIMARY KEY,
    -- The revision that a save expects and replaces.
    revision bigint NOT NULL,
    snapshot jsonb  NOT NULL
);
