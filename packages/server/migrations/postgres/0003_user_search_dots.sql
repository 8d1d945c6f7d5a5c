-- U+0130 is searched as `i`; before, it was stored as `i` with a dot above it (U+0307). The index follows by itself. It is
-- written in bytes because `chr` takes no such number where the database's encoding is SQL_ASCII; in others than these two
-- there is no such character.
DO $$
DECLARE dotted text;
BEGIN
  IF current_setting('server_encoding') IN ('UTF8', 'SQL_ASCII') THEN
    dotted := convert_from(decode('69cc87', 'hex'), 'UTF8');
    UPDATE "users" SET "search_text" = replace("search_text", dotted, 'i') WHERE position(dotted in "search_text") > 0;
  END IF;
END $$;
