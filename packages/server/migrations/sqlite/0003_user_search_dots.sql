-- U+0130 is searched as `i`; before, it was stored as `i` with a dot above it (U+0307). The index follows by itself.
UPDATE `users` SET `search_text` = replace(`search_text`, 'i' || char(775), 'i') WHERE instr(`search_text`, 'i' || char(775)) > 0;
