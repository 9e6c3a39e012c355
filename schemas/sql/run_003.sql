-- run.db, version 3: secure aggregation. A site's answer is a masked input then, of one attempt of the round; examples and
-- metrics of one site are not known, and `site_round` has NULL for them. The pooled matrix of a round comes with the sum of
-- the next one; after the last round there is one row more, rounds + 1, without a model: the evaluation that gives it.

CREATE TABLE receipt_3 (
    round    INTEGER NOT NULL,                -- rounds + 1: the evaluation after the last round
    position INTEGER NOT NULL,                -- of the site, in the job's list
    kind     INTEGER NOT NULL CHECK (kind IN (1, 2, 3)),  -- 1 an Update, 2 an Evaluation, 3 a MaskedInput
    attempt  INTEGER NOT NULL DEFAULT 0,
    sequence INTEGER NOT NULL CHECK (sequence > 0),
    receipt  BLOB NOT NULL,
    received BLOB NOT NULL CHECK (length(received) = 32),
    PRIMARY KEY (round, position, kind, attempt)
) STRICT;
INSERT INTO receipt_3 SELECT round, position, kind, 0, sequence, receipt, received FROM receipt;
DROP TABLE receipt;
ALTER TABLE receipt_3 RENAME TO receipt;

-- What a round's secure aggregation came to.
CREATE TABLE secagg_round (
    round        INTEGER PRIMARY KEY CHECK (round > 0),
    attempts     INTEGER NOT NULL CHECK (attempts > 0),
    sharers      INTEGER NOT NULL,            -- sites that sent masked inputs or could have, in the last attempt
    contributors INTEGER NOT NULL,            -- in the sum; 0: there is none
    examples     INTEGER                      -- of all of them; NULL: not weighted by examples
) STRICT;
