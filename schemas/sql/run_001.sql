-- run.db, version 1: one run as the orchestrator saw it; in runs/<run-id>/ beside the reports made from it. Written round
-- by round, so that a run that was cut off can still be reported. Times are Unix milliseconds.

CREATE TABLE run (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    run_id      BLOB NOT NULL CHECK (length(run_id) = 16),
    job_id      BLOB NOT NULL CHECK (length(job_id) = 32),
    job         BLOB NOT NULL,          -- exact bytes
    status      TEXT NOT NULL CHECK (status IN ('running', 'finished', 'stopped', 'failed', 'cancelled')),
    reason      TEXT NOT NULL,          -- why it stopped or failed, else ''
    features    INTEGER NOT NULL,       -- 0 until the sites have said
    classes     INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    approved_at INTEGER,                -- when the last site that takes part had approved
    ended_at    INTEGER
) STRICT;

-- One federated round.
CREATE TABLE round (
    round            INTEGER PRIMARY KEY CHECK (round > 0),
    seconds          REAL NOT NULL,     -- from sending the model to the end of the evaluation exchange
    model            BLOB,              -- new global model: float64 LE, coef rows then intercept
    model_sha256     BLOB CHECK (length(model_sha256) = 32),
    pooled_confusion BLOB,              -- u64 LE [classes][classes], of the new global model; NULL when not released
    global_confusion BLOB               -- the same on the orchestrator's own data
) STRICT;

-- One site in one round.
CREATE TABLE site_round (
    round          INTEGER NOT NULL REFERENCES round (round),
    position       INTEGER NOT NULL,    -- in the job's list of sites
    status         TEXT NOT NULL CHECK (status IN ('ok', 'late', 'failed', 'refused', 'dropped')),
    reason         TEXT NOT NULL,
    examples       INTEGER,             -- NULL when not released
    train_accuracy REAL,
    confusion      BLOB,                -- u64 LE, of the site's own model on its own test rows
    train_seconds  REAL,                -- as the site says
    seconds        REAL NOT NULL,       -- until its answer was here
    PRIMARY KEY (round, position)
) STRICT;
