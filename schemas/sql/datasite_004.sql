-- site.db, version 4: the privacy budget of records (datasite/budget.h).

-- What jobs may learn about the records of a pool, and what they did. Rows are only ever added. `hash` is over the row and
-- the hash of the row before, and is the digest of the row's own event, so that the signed chain of events vouches for all.
-- Zero, and bytes of zero, where a kind of row does not have a value.
CREATE TABLE budget (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,   -- 1, 2, 3, … without a gap
    pool     INTEGER NOT NULL CHECK (pool > 0),
    at       INTEGER NOT NULL,
    -- join: a dataset's rows belong to the pool (other: its id; subject: its digest; content: of the hashes that were new);
    -- merge: pool `other` is this pool from now on; set: a cap; the others: budget.h.
    kind     TEXT NOT NULL CHECK (kind IN ('join', 'merge', 'set', 'reserve', 'begin', 'settle', 'close', 'clear')),
    job_id   BLOB NOT NULL CHECK (length(job_id) = 32),
    run_id   BLOB NOT NULL CHECK (length(run_id) = 16),
    round    INTEGER NOT NULL,
    use      INTEGER NOT NULL CHECK (use IN (0, 1, 2)),            -- begin, settle, clear: 1 training, 2 evaluation
    -- Of a reservation: enum job_mechanism; 1: sites add shares of the noise; and as the job says, for `rounds` rounds.
    mechanism        INTEGER NOT NULL CHECK (mechanism BETWEEN 0 AND 3),
    shared           INTEGER NOT NULL CHECK (shared IN (0, 1)),
    noise_multiplier REAL NOT NULL,
    sampling_rate    REAL NOT NULL,
    steps            INTEGER NOT NULL,                             -- a round
    rounds           INTEGER NOT NULL,
    metrics_noise    REAL NOT NULL,
    evaluations      INTEGER NOT NULL,
    epsilon          REAL NOT NULL,                                -- of a cap, or of the whole run
    delta            REAL NOT NULL,
    filter           INTEGER NOT NULL CHECK (filter IN (0, 1)),    -- of a cap: 0 sum, 1 rdp
    other     INTEGER NOT NULL,
    subject   BLOB NOT NULL CHECK (length(subject) = 32),
    content   BLOB NOT NULL CHECK (length(content) = 32),
    signature BLOB NOT NULL CHECK (length(signature) = 64),        -- of a cap: the owner's word
    hash      BLOB NOT NULL CHECK (length(hash) = 32),
    event     INTEGER NOT NULL REFERENCES event (id)
) STRICT;
CREATE TRIGGER budget_no_update BEFORE UPDATE ON budget
BEGIN SELECT RAISE(ABORT, 'what was spent is never changed'); END;
CREATE TRIGGER budget_no_delete BEFORE DELETE ON budget
BEGIN SELECT RAISE(ABORT, 'what was spent is never forgotten'); END;
CREATE UNIQUE INDEX budget_reserved ON budget (run_id) WHERE kind = 'reserve';
CREATE UNIQUE INDEX budget_closed ON budget (run_id) WHERE kind = 'close';
CREATE UNIQUE INDEX budget_begun ON budget (run_id, use, round) WHERE kind = 'begin';
CREATE UNIQUE INDEX budget_settled ON budget (run_id, use, round) WHERE kind = 'settle';
CREATE INDEX budget_merged ON budget (other) WHERE kind = 'merge';
CREATE INDEX budget_joined ON budget (other) WHERE kind = 'join';
CREATE INDEX budget_of_pool ON budget (pool, kind);

-- Keyed hashes of the features of every row that was ever stored: datasets that share one are of one pool. They stay when
-- a dataset is removed, so that importing it again refills nothing.
CREATE TABLE budget_hash (
    hash BLOB PRIMARY KEY CHECK (length(hash) = 16),
    row  INTEGER NOT NULL REFERENCES budget (id)                   -- the join that brought it
) STRICT, WITHOUT ROWID;
CREATE TRIGGER budget_hash_no_update BEFORE UPDATE ON budget_hash
BEGIN SELECT RAISE(ABORT, 'a record never changes its pool'); END;
CREATE TRIGGER budget_hash_no_delete BEFORE DELETE ON budget_hash
BEGIN SELECT RAISE(ABORT, 'a record is never forgotten'); END;

-- Every row of the ledger has its event, the last one the last of these.
CREATE INDEX event_of_budget ON event (id) WHERE kind >= 'budget-' AND kind < 'budget.';

-- What a step of secure aggregation asks for is found without looking at every slot, and every round, of the run.
CREATE INDEX secagg_slot_open ON secagg_slot (run_id, slot) WHERE state = 'open';
CREATE INDEX secagg_slot_bound ON secagg_slot (run_id, round, attempt) WHERE state = 'bound';
CREATE INDEX secagg_secret_kept ON secagg_secret (run_id, slot) WHERE secret <> zeroblob(96) OR own_share <> zeroblob(80);
CREATE INDEX secagg_round_of_run ON secagg_round (run_id, round);
CREATE INDEX delivery_open ON delivery (run_id, event_id) WHERE made = 'open';

-- Masked inputs whose bytes are kept: of rounds whose sum was taken none are (store_release_forget), and the body is empty.
CREATE INDEX answer_kept ON answer (run_id, round) WHERE kind = 'masked-input' AND length(body) > 0;

-- Jobs that were refused as they came in: of a day, few are in the chain (datasite/store_refusal.h).
CREATE INDEX event_of_refusal ON event (at) WHERE kind = 'job-refused';

-- Why a job waits for the owner although a rule of the policy matched.
CREATE TABLE job_wait (
    job_id   BLOB PRIMARY KEY REFERENCES job (job_id),
    told     INTEGER NOT NULL CHECK (told IN (0, 1)),              -- 1: the requester may know
    sentence TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What came with the list of contributors that this site signed: the length of a vector in words, u64 little-endian, then digest and
-- signature (96 bytes) of each contributor's, in the order of `contributors`. Verified before shares are given
-- (crypto/secagg_agree.h); without it none are. Forgotten when the run is over.
ALTER TABLE secagg_round ADD COLUMN inputs BLOB;
CREATE TRIGGER secagg_inputs_once BEFORE UPDATE OF inputs ON secagg_round
WHEN OLD.agreement IS NOT NULL AND NEW.inputs IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'one agreement a round'); END;
