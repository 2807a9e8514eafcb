-- What Kamailio's acc module writes CDRs to (its own schema of acc_cdrs, with who, whom and Call-ID).
CREATE TABLE version (table_name VARCHAR(32) NOT NULL UNIQUE, table_version INTEGER NOT NULL);
INSERT INTO version VALUES ('acc', 5), ('acc_cdrs', 2), ('missed_calls', 4);
CREATE TABLE acc_cdrs (
    id SERIAL PRIMARY KEY NOT NULL,
    start_time TIMESTAMP WITHOUT TIME ZONE DEFAULT '2000-01-01 00:00:00' NOT NULL,
    end_time TIMESTAMP WITHOUT TIME ZONE DEFAULT '2000-01-01 00:00:00' NOT NULL,
    duration REAL DEFAULT 0 NOT NULL,
    caller VARCHAR(255) NOT NULL,
    callee VARCHAR(255) NOT NULL,
    callid VARCHAR(255) NOT NULL
);
CREATE INDEX acc_cdrs_start_time_idx ON acc_cdrs (start_time);
