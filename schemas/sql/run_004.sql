-- run.db, version 4: private jobs and what models see of rows.

-- Of a row at the sites, 0 by 0: numbers. With the job they say what the model's features are.
ALTER TABLE run ADD COLUMN image_rows INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN image_columns INTEGER NOT NULL DEFAULT 0;

-- With training.average_tail over rounds: the mean of the last models, float64 LE; it is the result of the run then.
ALTER TABLE run ADD COLUMN averaged BLOB;
ALTER TABLE run ADD COLUMN averaged_sha256 BLOB CHECK (length(averaged_sha256) = 32);
ALTER TABLE run ADD COLUMN averaged_confusion BLOB;     -- of the global test

-- What all of a private job costs a record at the job's delta (crypto/privacy_plan.h); NULL without privacy.
ALTER TABLE run ADD COLUMN epsilon REAL;                -- by privacy loss distributions
ALTER TABLE run ADD COLUMN epsilon_rdp REAL;            -- by Renyi divergences
ALTER TABLE run ADD COLUMN epsilon_worst REAL;          -- if all other sites colluded

-- Counts of the model of a round in which a private job pays for them, with noise: float64 LE, NULL when not released.
ALTER TABLE round ADD COLUMN pooled_noised BLOB;
ALTER TABLE round ADD COLUMN pooled_noise REAL;         -- the standard deviation of each
ALTER TABLE round ADD COLUMN pooled_sites INTEGER;      -- whose test rows they are of

-- What the site's releases of private numbers up to this round and in it cost; NULL without privacy.
ALTER TABLE site_round ADD COLUMN epsilon_spent REAL;
