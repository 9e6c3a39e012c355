-- run.db, version 2: the sites' receipts, runs against mock data, and counts that sites withhold: a confusion matrix is
-- followed by two words more, of how many rows it is and how many of them are right, and 2^64-1 is a word that was
-- withheld. Rounds of version 1 have the counts alone, and all of them.

-- 1: the run was made with the sites' mock datasets, which are synthetic, and without any approval.
ALTER TABLE run ADD COLUMN mock INTEGER NOT NULL DEFAULT 0 CHECK (mock IN (0, 1));

-- What a site signed about something that it released (audit/receipt.h), written with its round. It was verified before
-- anything was done with the answer; an answer that was of no use afterwards has its receipt here all the same.
CREATE TABLE receipt (
    round    INTEGER NOT NULL REFERENCES round (round),
    position INTEGER NOT NULL,              -- of the site, in the job's list
    kind     INTEGER NOT NULL CHECK (kind IN (1, 2)),  -- 1 an Update, 2 an Evaluation
    sequence INTEGER NOT NULL CHECK (sequence > 0),    -- as the receipt says: of the event at the site
    receipt  BLOB NOT NULL,                 -- encoded Receipt (schemas/datasite.proto)
    received BLOB NOT NULL CHECK (length(received) = 32),  -- SHA-256 of the body that arrived
    PRIMARY KEY (round, position, kind)
) STRICT;
