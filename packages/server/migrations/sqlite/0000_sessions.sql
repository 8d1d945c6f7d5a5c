CREATE TABLE `generation_segments` (
	`generation_id` text NOT NULL,
	`sequence` integer NOT NULL,
	`fence` integer NOT NULL,
	`number` integer NOT NULL,
	`text` text NOT NULL,
	PRIMARY KEY(`generation_id`, `sequence`),
	FOREIGN KEY (`generation_id`) REFERENCES `generations`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `generations` (
	`id` text PRIMARY KEY NOT NULL,
	`session_id` text NOT NULL,
	`user_id` text NOT NULL,
	`user_message_id` text,
	`status` text NOT NULL,
	`claim_fence` integer NOT NULL,
	`fence` integer NOT NULL,
	`owner` text NOT NULL,
	`lease_expires_at` integer NOT NULL,
	`stop_requested_by` text,
	`model_id` text NOT NULL,
	`request` text,
	`prices` text,
	`prompt_tokens` integer,
	`text_fence` integer DEFAULT 0 NOT NULL,
	`text_number` integer DEFAULT 0 NOT NULL,
	`end_fence` integer,
	`end_number` integer,
	`refusal` text,
	`created_at` integer NOT NULL,
	`admitted_at` integer,
	`ended_at` integer,
	FOREIGN KEY (`session_id`) REFERENCES `sessions`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `generations_live_session` ON `generations` (`session_id`) WHERE "generations"."status" in ('reserving', 'running');--> statement-breakpoint
CREATE INDEX `generations_live_user` ON `generations` (`user_id`) WHERE "generations"."status" in ('reserving', 'running');--> statement-breakpoint
CREATE INDEX `generations_live_lease` ON `generations` (`lease_expires_at`) WHERE "generations"."status" in ('reserving', 'running');--> statement-breakpoint
CREATE INDEX `generations_session` ON `generations` (`session_id`,`created_at`);--> statement-breakpoint
CREATE UNIQUE INDEX `generations_claim` ON `generations` (`session_id`,`claim_fence`);--> statement-breakpoint
CREATE TABLE `idempotency_keys` (
	`user_id` text NOT NULL,
	`key` text NOT NULL,
	`operation` text NOT NULL,
	`request_hash` text NOT NULL,
	`session_id` text NOT NULL,
	`generation_id` text,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`user_id`, `key`)
);
--> statement-breakpoint
CREATE INDEX `idempotency_keys_created` ON `idempotency_keys` (`created_at`);--> statement-breakpoint
CREATE INDEX `idempotency_keys_session` ON `idempotency_keys` (`session_id`);--> statement-breakpoint
CREATE INDEX `idempotency_keys_generation` ON `idempotency_keys` (`generation_id`);--> statement-breakpoint
CREATE TABLE `messages` (
	`id` text PRIMARY KEY NOT NULL,
	`session_id` text NOT NULL,
	`sequence` integer NOT NULL,
	`role` text NOT NULL,
	`content` text NOT NULL,
	`status` text NOT NULL,
	`model_id` text,
	`fallback_from` text,
	`stopped_by` text,
	`usage` text,
	`finish_reason` text,
	`error_code` text,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	FOREIGN KEY (`session_id`) REFERENCES `sessions`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `messages_session_sequence` ON `messages` (`session_id`,`sequence`);--> statement-breakpoint
CREATE TABLE `service_keys` (
	`name` text PRIMARY KEY NOT NULL,
	`value` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `sessions` (
	`id` text PRIMARY KEY NOT NULL,
	`user_id` text NOT NULL,
	`title` text,
	`title_is_automatic` integer NOT NULL,
	`model_id` text,
	`source` text NOT NULL,
	`system_prompt` text,
	`parameters` text NOT NULL,
	`metadata` text NOT NULL,
	`temporary` integer NOT NULL,
	`message_count` integer DEFAULT 0 NOT NULL,
	`last_message_at` integer,
	`sort_at` integer NOT NULL,
	`active_generation_id` text,
	`next_sequence` integer DEFAULT 1 NOT NULL,
	`fence` integer DEFAULT 0 NOT NULL,
	`log_fence` integer DEFAULT 0 NOT NULL,
	`log_number` integer DEFAULT 0 NOT NULL,
	`deleted_at` integer,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	FOREIGN KEY (`user_id`) REFERENCES `users`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `sessions_listed` ON `sessions` (`user_id`,`sort_at`,`id`) WHERE "sessions"."deleted_at" is null and not "sessions"."temporary";--> statement-breakpoint
CREATE INDEX `sessions_tombstones` ON `sessions` (`deleted_at`) WHERE "sessions"."deleted_at" is not null;--> statement-breakpoint
CREATE TABLE `users` (
	`id` text PRIMARY KEY NOT NULL,
	`username` text,
	`email` text,
	`role` text NOT NULL,
	`plan` text NOT NULL,
	`claims_issued_at` integer,
	`session_count` integer DEFAULT 0 NOT NULL,
	`last_seen_at` integer NOT NULL,
	`created_at` integer NOT NULL
);
