-- site.db, version 3: secure aggregation (crypto/secagg.h). The output of every step is committed before it is sent, and
-- repeated byte for byte when it is asked for again.

-- Answers are told apart by their attempt too: a round of secure aggregation may be tried again with another set of
-- sites, and the same vector under other masks. 0 for updates and evaluations.
CREATE TABLE answer_3 (
    run_id       BLOB NOT NULL REFERENCES run (run_id),
    round        INTEGER NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('update', 'evaluation', 'masked-input')),
    attempt      INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    model_digest BLOB NOT NULL CHECK (length(model_digest) = 32),  -- of the parameters that came in
    refused      INTEGER NOT NULL CHECK (refused IN (0, 1)),       -- 1: body is the refusal of a step that failed
    body         BLOB NOT NULL,
    event_id     INTEGER NOT NULL REFERENCES event (id),
    released_at  INTEGER NOT NULL,
    state        TEXT NOT NULL DEFAULT 'released' CHECK (state IN ('released', 'held', 'refused')),
    receipt      BLOB,                        -- encoded Receipt; NULL while held, and for refusals
    update_norm  REAL,                        -- ||update - model that came in||, for the owner
    protections  TEXT NOT NULL DEFAULT '',
    reason       TEXT NOT NULL DEFAULT '',    -- of the owner's refusal
    PRIMARY KEY (run_id, round, kind, attempt)
) STRICT;
INSERT INTO answer_3 SELECT run_id, round, kind, 0, model_digest, refused, body, event_id, released_at, state, receipt,
                            update_norm, protections, reason FROM answer;
DROP TABLE answer;
ALTER TABLE answer_3 RENAME TO answer;

CREATE TABLE delivery_3 (
    run_id   BLOB NOT NULL,
    round    INTEGER NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('update', 'evaluation', 'masked-input')),
    attempt  INTEGER NOT NULL DEFAULT 0,
    event_id INTEGER NOT NULL,                -- of its release; 0 while it is held
    bytes    INTEGER NOT NULL,                -- of its body
    made     TEXT NOT NULL CHECK (made IN ('open', 'made', 'unmade')),
    dataset_rows   INTEGER NOT NULL,
    dataset_digest BLOB CHECK (dataset_digest IS NULL OR length(dataset_digest) = 32),
    PRIMARY KEY (run_id, round, kind, attempt)
) STRICT, WITHOUT ROWID;
INSERT INTO delivery_3 SELECT run_id, round, kind, 0, event_id, bytes, made, dataset_rows, dataset_digest FROM delivery;
DROP TABLE delivery;
ALTER TABLE delivery_3 RENAME TO delivery;

-- Whether the site was put back to an earlier state since is asked before keys are advertised.
CREATE INDEX event_of_slots ON event (id) WHERE kind = 'slots-killed';

-- One batch of key slots of a run.
CREATE TABLE secagg_batch (
    run_id     BLOB NOT NULL CHECK (length(run_id) = 16),
    job_id     BLOB NOT NULL REFERENCES job (job_id),
    first_slot INTEGER NOT NULL,
    slots      INTEGER NOT NULL CHECK (slots > 0),
    advert     BLOB NOT NULL,                 -- encoded Advert, as it left
    keyset     BLOB,                          -- encoded Share, as it came in; NULL before step 'share'
    shares     BLOB,                          -- encoded Shares, as it left
    PRIMARY KEY (run_id, first_slot)
) STRICT;

-- A slot serves one context.
CREATE TABLE secagg_slot (
    run_id    BLOB NOT NULL,
    slot      INTEGER NOT NULL,
    state     TEXT NOT NULL CHECK (state IN ('open', 'bound', 'revealed', 'dead')),
    shared    INTEGER NOT NULL DEFAULT 0 CHECK (shared IN (0, 1)),  -- 1: from step 'share' on
    round     INTEGER,                        -- bound: to this round and attempt
    attempt   INTEGER,
    context   BLOB CHECK (context IS NULL OR length(context) = 32),
    sharers   BLOB,                           -- u32 positions, little-endian
    sealed    BLOB,                           -- the sharers' shares for this site, as they came in
    revealed  BLOB,                           -- encoded Unmasking, as it left
    PRIMARY KEY (run_id, slot)
) STRICT;
CREATE UNIQUE INDEX secagg_slot_of_attempt ON secagg_slot (run_id, round, attempt) WHERE round IS NOT NULL;
-- Whoever opened a slot again would have its secrets serve two contexts, which tells one input from another. What came in
-- and what left is written once; the sealed shares may be forgotten (secagg_run_over).
CREATE TRIGGER secagg_slot_new BEFORE INSERT ON secagg_slot
WHEN NEW.state <> 'open' OR EXISTS (SELECT 1 FROM secagg_slot WHERE run_id = NEW.run_id AND slot = NEW.slot)
BEGIN SELECT RAISE(ABORT, 'a slot begins once, and open'); END;
CREATE TRIGGER secagg_slot_no_delete BEFORE DELETE ON secagg_slot
BEGIN SELECT RAISE(ABORT, 'a slot is never forgotten'); END;
CREATE TRIGGER secagg_slot_forward BEFORE UPDATE OF state ON secagg_slot
WHEN NOT (NEW.state = OLD.state OR OLD.state = 'open' AND NEW.state IN ('bound', 'dead') OR
          OLD.state = 'bound' AND NEW.state IN ('revealed', 'dead'))
BEGIN SELECT RAISE(ABORT, 'a slot goes forward only'); END;
CREATE TRIGGER secagg_slot_once BEFORE UPDATE OF run_id, slot, shared, round, attempt, context, sharers, sealed, revealed
ON secagg_slot
WHEN NEW.run_id <> OLD.run_id OR NEW.slot <> OLD.slot OR NEW.shared < OLD.shared OR
     OLD.state <> 'open' AND (NEW.round IS NOT OLD.round OR NEW.attempt IS NOT OLD.attempt OR
                              NEW.context IS NOT OLD.context OR NEW.sharers IS NOT OLD.sharers OR
                              NEW.sealed IS NOT OLD.sealed AND NEW.sealed IS NOT NULL) OR
     OLD.revealed IS NOT NULL AND NEW.revealed IS NOT OLD.revealed
BEGIN SELECT RAISE(ABORT, 'a slot serves one context'); END;

-- The secrets of a slot; zeros once they are of no use. Rows are added at the end and never change their length, so that
-- SQLite never moves one to another page and leaves a copy behind: it is overwritten where it is.
CREATE TABLE secagg_secret (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id    BLOB NOT NULL CHECK (length(run_id) = 16),
    slot      INTEGER NOT NULL,
    secret    BLOB NOT NULL CHECK (length(secret) = 96),      -- c, s, b
    own_share BLOB NOT NULL CHECK (length(own_share) = 80)    -- its own share of s and of b, from step 'share' on
) STRICT;
CREATE UNIQUE INDEX secagg_secret_of_slot ON secagg_secret (run_id, slot);

-- Of whose secret a share left, and which kind: never both of one peer. Rows are only ever added.
CREATE TABLE secagg_given (
    run_id BLOB NOT NULL,
    slot   INTEGER NOT NULL,
    peer   INTEGER NOT NULL,                  -- position in the roster
    kind   INTEGER NOT NULL CHECK (kind IN (1, 2)),  -- 1 b, 2 s
    PRIMARY KEY (run_id, slot, peer)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER secagg_given_no_update BEFORE UPDATE ON secagg_given
BEGIN SELECT RAISE(ABORT, 'a share that left is never another'); END;
CREATE TRIGGER secagg_given_no_delete BEFORE DELETE ON secagg_given
BEGIN SELECT RAISE(ABORT, 'a share that left is never forgotten'); END;

-- One round, and the one statement that this site signs about it, ever.
CREATE TABLE secagg_round (
    job_id       BLOB NOT NULL REFERENCES job (job_id),
    run_id       BLOB NOT NULL,
    round        INTEGER NOT NULL,
    model_digest BLOB NOT NULL CHECK (length(model_digest) = 32),
    attempt      INTEGER,                     -- of the agreement
    agreement    BLOB CHECK (agreement IS NULL OR length(agreement) = 128),  -- the body that was signed
    signature    BLOB CHECK (signature IS NULL OR length(signature) = 64),
    contributors BLOB,                        -- u32 positions, little-endian, whose hash is in `agreement`
    PRIMARY KEY (job_id, run_id, round)
) STRICT;
CREATE TRIGGER secagg_agreement_once BEFORE UPDATE OF agreement, signature, attempt, contributors ON secagg_round
WHEN OLD.agreement IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'one agreement a round'); END;

-- What this site contributes to a round, without masks; computed once, gone once the round is agreed.
CREATE TABLE secagg_vector (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id  BLOB NOT NULL,
    round   INTEGER NOT NULL,
    encoded BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX secagg_vector_of_round ON secagg_vector (run_id, round);

-- The global model of a run as this site computed it: the one that round `round` starts from.
CREATE TABLE secagg_model (
    run_id     BLOB PRIMARY KEY CHECK (length(run_id) = 16),
    round      INTEGER NOT NULL CHECK (round > 0),
    digest     BLOB NOT NULL CHECK (length(digest) = 32),
    parameters BLOB NOT NULL                  -- float64, little-endian
) STRICT;

-- The head that another site's advert of a run named, of its highest slots so far: one that cannot be of the same chain
-- of events is refused (store_secagg_ledger).
CREATE TABLE secagg_ledger (
    site       BLOB NOT NULL CHECK (length(site) = 32),
    run_id     BLOB NOT NULL CHECK (length(run_id) = 16),
    first_slot INTEGER NOT NULL,
    sequence   INTEGER NOT NULL,
    head       BLOB NOT NULL CHECK (length(head) = 32),
    PRIMARY KEY (site, run_id)
) STRICT, WITHOUT ROWID;

-- How often one of these tables changed. The same number is kept in keys/secagg.count; where they disagree, the file
-- was restored, and every slot is dead.
CREATE TABLE secagg_count (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    changes INTEGER NOT NULL,
    marker  BLOB NOT NULL                     -- which files these are: device, inode, time of birth of each
) STRICT;
