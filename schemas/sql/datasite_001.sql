-- site.db, version 1: everything a datasite knows. Written by the daemon and by the owner's commands, at once and
-- safely (WAL, BEGIN IMMEDIATE). Times are Unix seconds; ids of sites and jobs are 32-byte SHA-256 values.

-- One private dataset. Rows are in `chunk`, 256 to a chunk.
CREATE TABLE dataset (
    id            INTEGER PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,        -- what job files call it
    kind          TEXT NOT NULL CHECK (kind IN ('bytes', 'numbers')),  -- u8 pixels, or float64 columns
    rows          INTEGER NOT NULL CHECK (rows > 0),
    features      INTEGER NOT NULL CHECK (features > 0),
    image_rows    INTEGER,                     -- for bytes: rows * columns = features
    image_columns INTEGER,
    classes       INTEGER NOT NULL CHECK (classes > 1),
    digest        BLOB NOT NULL CHECK (length(digest) = 32),  -- SHA-256 over header, rows and labels in order
    source        TEXT NOT NULL,               -- what was imported: file names and row range, for the owner
    imported_at   INTEGER NOT NULL
) STRICT;

-- Names of the classes and how many rows each has (for the owner only).
CREATE TABLE dataset_class (
    dataset_id INTEGER NOT NULL REFERENCES dataset (id) ON DELETE CASCADE,
    class      INTEGER NOT NULL,
    name       TEXT NOT NULL,
    rows       INTEGER NOT NULL,
    PRIMARY KEY (dataset_id, class)
) STRICT;

-- Names of the feature columns of a table (kind numbers).
CREATE TABLE dataset_column (
    dataset_id INTEGER NOT NULL REFERENCES dataset (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    name       TEXT NOT NULL,
    PRIMARY KEY (dataset_id, position)
) STRICT;

-- Up to 256 rows of a dataset.
CREATE TABLE chunk (
    dataset_id INTEGER NOT NULL REFERENCES dataset (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL,              -- 0, 1, 2, …
    rows       INTEGER NOT NULL,
    data       BLOB NOT NULL,                 -- bytes: rows * features u8; numbers: rows * features float64 (LE)
    labels     BLOB NOT NULL,                 -- rows * u16 (LE)
    split      BLOB NOT NULL,                 -- rows * u64 (LE): keyed hash of the row; below test_fraction * 2^64 = test row
    PRIMARY KEY (dataset_id, position)
) STRICT;

-- Orchestrators that the owner trusts (`datasite trust add`: their key is pinned), or whose first job was approved
-- ('approval': admitted only while a CA vouches for them).
CREATE TABLE peer (
    site_id  BLOB PRIMARY KEY CHECK (length(site_id) = 32),
    name     TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    added_by TEXT NOT NULL                    -- 'invitation' | 'approval'
) STRICT;

-- Orchestrators that the owner removed: no policy lists them again, only the owner does.
CREATE TABLE removed_peer (
    site_id    BLOB PRIMARY KEY CHECK (length(site_id) = 32),
    removed_at INTEGER NOT NULL
) STRICT;

-- Every job that was ever asked for, with its exact bytes.
CREATE TABLE job (
    job_id         BLOB PRIMARY KEY CHECK (length(job_id) = 32),   -- SHA-256 of `bytes`
    bytes          BLOB NOT NULL,
    requester      BLOB NOT NULL CHECK (length(requester) = 32),   -- site_id of who submitted it
    requester_name TEXT NOT NULL,
    received_at    INTEGER NOT NULL,
    state          TEXT NOT NULL CHECK (state IN
                     ('pending', 'approved', 'running', 'finished', 'denied', 'revoked', 'expired')),
    expires        INTEGER NOT NULL           -- of the job file
) STRICT;
CREATE INDEX job_by_state ON job (state, received_at);

-- What the owner, or a rule of the policy, decided. The statement is the fixed-width text that was signed with the
-- site's key; the daemon verifies it at every round.
CREATE TABLE decision (
    id             INTEGER PRIMARY KEY,
    job_id         BLOB NOT NULL REFERENCES job (job_id),
    kind           TEXT NOT NULL CHECK (kind IN ('approve', 'deny', 'revoke')),
    rounds         INTEGER NOT NULL,          -- rounds a run may have; 0 unless approve
    runs           INTEGER NOT NULL,          -- runs allowed
    expires        INTEGER NOT NULL,          -- end of the approval
    dataset_digest BLOB NOT NULL,             -- of the dataset at approval; empty unless approve
    decided_at     INTEGER NOT NULL,
    decided_by     TEXT NOT NULL,             -- 'owner' | 'policy:<rule>'
    reason         TEXT NOT NULL,
    statement      BLOB NOT NULL,
    signature      BLOB NOT NULL CHECK (length(signature) = 64)
) STRICT;
CREATE INDEX decision_by_job ON decision (job_id, id);
-- A job is approved or denied once; a denial is final.
CREATE UNIQUE INDEX decision_once ON decision (job_id) WHERE kind IN ('approve', 'deny');

-- One execution of an approved job, begun by the first Train message with a new run id.
CREATE TABLE run (
    run_id     BLOB PRIMARY KEY CHECK (length(run_id) = 16),
    job_id     BLOB NOT NULL REFERENCES job (job_id),
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    last_round INTEGER NOT NULL,              -- highest round released
    status     TEXT NOT NULL                  -- 'running' | 'finished' | 'stopped' | 'failed' | 'cancelled'
) STRICT;
CREATE INDEX run_by_job ON run (job_id);

-- Everything that was released, as the exact body that left; a retry repeats it and is no new release. A step that
-- failed after rows were read is answered too, with a refusal that tells nothing, and spends its round as well.
CREATE TABLE answer (
    run_id       BLOB NOT NULL REFERENCES run (run_id),
    round        INTEGER NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('update', 'evaluation')),
    model_digest BLOB NOT NULL CHECK (length(model_digest) = 32),  -- of the parameters that came in
    refused      INTEGER NOT NULL CHECK (refused IN (0, 1)),       -- 1: body is the refusal of a step that failed
    body         BLOB NOT NULL,
    event_id     INTEGER NOT NULL REFERENCES event (id),
    released_at  INTEGER NOT NULL,
    PRIMARY KEY (run_id, round, kind)
) STRICT;

-- What happened, oldest first. Rows are only ever added.
CREATE TABLE event (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    kind   TEXT NOT NULL,                     -- a word of schemas/event.def
    job_id BLOB,
    run_id BLOB,
    round  INTEGER,
    detail TEXT NOT NULL,                     -- one sentence without private values
    digest BLOB CHECK (digest IS NULL OR length(digest) = 32)   -- of the body in `answer` that this event is about
) STRICT;
CREATE INDEX event_by_job ON event (job_id, kind, run_id, round) WHERE job_id IS NOT NULL;
CREATE TRIGGER event_no_update BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER event_no_delete BEFORE DELETE ON event BEGIN SELECT RAISE(ABORT, 'events are never removed'); END;

-- The daemon that holds the lock file, for `datasite status`. At most one row.
CREATE TABLE daemon (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    pid        INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    listen     TEXT NOT NULL,
    peers_up   INTEGER NOT NULL,
    job_id     BLOB,                          -- in hand, NULL when idle
    round      INTEGER,
    progress   REAL,                          -- 0 to 1
    updated_at INTEGER NOT NULL
) STRICT;
