-- site.db, version 2: decisions that say more, answers that wait for the owner, a chain of signed events, mock
-- datasets, chunks that are encrypted.

-- Rows of version 1 keep version 1: their statement is the shorter one (datasite/approval.h).
ALTER TABLE decision ADD COLUMN version INTEGER NOT NULL DEFAULT 1 CHECK (version IN (1, 2));
ALTER TABLE decision ADD COLUMN hold TEXT NOT NULL DEFAULT 'never' CHECK (hold IN ('never', 'first', 'every', 'final'));
ALTER TABLE decision ADD COLUMN allow_growth INTEGER NOT NULL DEFAULT 0 CHECK (allow_growth IN (0, 1));
ALTER TABLE decision ADD COLUMN dataset_rows INTEGER NOT NULL DEFAULT 0;   -- of the dataset at approval

-- The word of one of several owners, where the policy wants four eyes: the limits that they sign must agree, and the
-- approval counts only with the signatures of two.
CREATE TABLE endorsement (
    job_id       BLOB NOT NULL REFERENCES job (job_id),
    owner        BLOB NOT NULL CHECK (length(owner) = 32),       -- site_id of the owner's key
    public_key   BLOB NOT NULL CHECK (length(public_key) = 32),
    rounds       INTEGER NOT NULL,
    runs         INTEGER NOT NULL,
    expires      INTEGER NOT NULL,
    hold         TEXT NOT NULL CHECK (hold IN ('never', 'first', 'every', 'final')),
    allow_growth INTEGER NOT NULL CHECK (allow_growth IN (0, 1)),
    dataset_digest BLOB NOT NULL CHECK (length(dataset_digest) = 32),
    dataset_rows INTEGER NOT NULL,
    endorsed_at  INTEGER NOT NULL,
    signature    BLOB NOT NULL CHECK (length(signature) = 64),
    PRIMARY KEY (job_id, owner)
) STRICT;

-- 'released': may be given out, with its receipt. 'held': waits for the owner; 'refused': the owner looked and said
-- no. Only an answer with a receipt that the site's key signed is ever given out, whatever the state says.
ALTER TABLE answer ADD COLUMN state TEXT NOT NULL DEFAULT 'released' CHECK (state IN ('released', 'held', 'refused'));
ALTER TABLE answer ADD COLUMN receipt BLOB;             -- encoded Receipt; NULL while held, and for refusals
ALTER TABLE answer ADD COLUMN update_norm REAL;         -- ||update - model that came in||, for the owner
ALTER TABLE answer ADD COLUMN protections TEXT NOT NULL DEFAULT '';
ALTER TABLE answer ADD COLUMN reason TEXT NOT NULL DEFAULT '';   -- of the owner's refusal

-- Whether an answer arrived, beside it in rows that are small: rows of `answer` hold whole models, and a round must not
-- read or write those of the rounds before. None for the refusal of a failed step, and for what the owner refused.
CREATE TABLE delivery (
    run_id   BLOB NOT NULL,
    round    INTEGER NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('update', 'evaluation')),
    event_id INTEGER NOT NULL,                -- of its release; 0 while it is held
    bytes    INTEGER NOT NULL,                -- of its body
    -- 'open' until the requester presents its receipt ('made') or the run ends without that ('unmade', with an event).
    made     TEXT NOT NULL CHECK (made IN ('open', 'made', 'unmade')),
    -- Of the dataset as it was worked on: where rows may be added, versions that answers came from differ by many rows.
    -- 0 and NULL: from version 1, where none could be added.
    dataset_rows   INTEGER NOT NULL,
    dataset_digest BLOB CHECK (dataset_digest IS NULL OR length(dataset_digest) = 32),
    PRIMARY KEY (run_id, round, kind)
) STRICT, WITHOUT ROWID;
INSERT INTO delivery SELECT run_id, round, kind, event_id, length(body), 'open', 0, NULL FROM answer WHERE refused = 0;

-- Of a requester that was known only through a CA when it submitted the job (lobby): all of these together are bounded.
ALTER TABLE job ADD COLUMN lobby INTEGER NOT NULL DEFAULT 0 CHECK (lobby IN (0, 1));
CREATE INDEX job_by_requester ON job (requester, received_at);

-- The chain (audit/chain.h): hash over the one before and this row, and the site's signature over the head. Events of
-- version 1 have neither; the first hash covers them all.
ALTER TABLE event ADD COLUMN hash BLOB CHECK (hash IS NULL OR length(hash) = 32);
ALTER TABLE event ADD COLUMN signature BLOB CHECK (signature IS NULL OR length(signature) = 64);
CREATE TRIGGER event_chained BEFORE INSERT ON event WHEN NEW.hash IS NULL OR NEW.signature IS NULL
BEGIN SELECT RAISE(ABORT, 'events are chained and signed'); END;

-- Whether a contradiction is open is asked at every request.
CREATE INDEX event_of_chain ON event (kind, id) WHERE kind = 'chain-contradicted' OR kind = 'chain-accepted';

-- Heads that this site's key signed, presented by a requester, and missing in the chain: the file was rolled back, or
-- copied and used twice. While one is open (there is an event of it and none since by which the owner accepted),
-- nothing is computed and nothing leaves. The latest of each requester.
CREATE TABLE contradiction (
    requester   BLOB PRIMARY KEY CHECK (length(requester) = 32),
    sequence    INTEGER NOT NULL,
    head        BLOB NOT NULL CHECK (length(head) = 32),
    found_at    INTEGER NOT NULL,
    accepted_at INTEGER                       -- by the owner (`datasite audit accept`); NULL: open
) STRICT;

-- The key of encrypted chunks, wrapped by a key from a file, a passphrase or standard input (crypto/vault.h). At most
-- one row; none: chunks are stored in clear.
CREATE TABLE vault (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    wrapped  BLOB NOT NULL,
    source   TEXT NOT NULL CHECK (source IN ('file', 'passphrase', 'stdin')),   -- what opens it
    key_path TEXT NOT NULL,                   -- of the file, absolute; '' otherwise
    made_at  INTEGER NOT NULL,
    CHECK ((source = 'file') = (key_path <> ''))
) STRICT;
-- Of an encrypted dataset: what its chunks' key is derived with, never used for other chunks. NULL: in clear. Each of
-- data, labels and split is then sealed by itself, 16 bytes longer (datasite/store_chunk.h).
ALTER TABLE dataset ADD COLUMN salt BLOB CHECK (salt IS NULL OR length(salt) = 32);

-- Synthetic rows in the form of a dataset, for researchers; no private row is among them. They were compared with the
-- rows of `source` and stand for no other: when the dataset changes, they are given to nobody until they are made anew.
CREATE TABLE mock (
    dataset  TEXT PRIMARY KEY,                -- name; of a dataset that may since be gone
    source   BLOB NOT NULL CHECK (length(source) = 32),          -- digest of that dataset
    kind     TEXT NOT NULL CHECK (kind IN ('bytes', 'numbers')),
    rows     INTEGER NOT NULL CHECK (rows > 0),
    features INTEGER NOT NULL CHECK (features > 0),
    classes  INTEGER NOT NULL CHECK (classes > 1),
    digest   BLOB NOT NULL CHECK (length(digest) = 32),
    made_at  INTEGER NOT NULL
) STRICT;
-- As many rows as one message takes.
CREATE TABLE mock_page (
    dataset   TEXT NOT NULL REFERENCES mock (dataset) ON DELETE CASCADE,
    first_row INTEGER NOT NULL CHECK (first_row >= 0),
    rows      INTEGER NOT NULL CHECK (rows > 0),
    data      BLOB NOT NULL,                  -- rows * features u8 or float64 (LE)
    labels    BLOB NOT NULL,                  -- rows * u16 (LE)
    PRIMARY KEY (dataset, first_row)
) STRICT;
