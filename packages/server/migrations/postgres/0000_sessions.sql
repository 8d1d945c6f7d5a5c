CREATE TABLE "generation_segments" (
	"generation_id" text NOT NULL,
	"sequence" integer NOT NULL,
	"fence" integer NOT NULL,
	"number" integer NOT NULL,
	"text" text NOT NULL,
	CONSTRAINT "generation_segments_generation_id_sequence_pk" PRIMARY KEY("generation_id","sequence")
);
--> statement-breakpoint
CREATE TABLE "generations" (
	"id" text PRIMARY KEY NOT NULL,
	"session_id" text NOT NULL,
	"user_id" text NOT NULL,
	"user_message_id" text,
	"status" text NOT NULL,
	"claim_fence" integer NOT NULL,
	"fence" integer NOT NULL,
	"owner" text NOT NULL,
	"lease_expires_at" timestamp (3) with time zone NOT NULL,
	"stop_requested_by" text,
	"model_id" text NOT NULL,
	"request" jsonb,
	"prices" jsonb,
	"prompt_tokens" integer,
	"text_fence" integer DEFAULT 0 NOT NULL,
	"text_number" integer DEFAULT 0 NOT NULL,
	"end_fence" integer,
	"end_number" integer,
	"refusal" jsonb,
	"created_at" timestamp (3) with time zone NOT NULL,
	"admitted_at" timestamp (3) with time zone,
	"ended_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "idempotency_keys" (
	"user_id" text NOT NULL,
	"key" text NOT NULL,
	"operation" text NOT NULL,
	"request_hash" text NOT NULL,
	"session_id" text NOT NULL,
	"generation_id" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "idempotency_keys_user_id_key_pk" PRIMARY KEY("user_id","key")
);
--> statement-breakpoint
CREATE TABLE "messages" (
	"id" text PRIMARY KEY NOT NULL,
	"session_id" text NOT NULL,
	"sequence" integer NOT NULL,
	"role" text NOT NULL,
	"content" text NOT NULL,
	"status" text NOT NULL,
	"model_id" text,
	"fallback_from" text,
	"stopped_by" text,
	"usage" jsonb,
	"finish_reason" text,
	"error_code" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "service_keys" (
	"name" text PRIMARY KEY NOT NULL,
	"value" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "sessions" (
	"id" text PRIMARY KEY NOT NULL,
	"user_id" text NOT NULL,
	"title" text,
	"title_is_automatic" boolean NOT NULL,
	"model_id" text,
	"source" text NOT NULL,
	"system_prompt" text,
	"parameters" jsonb NOT NULL,
	"metadata" jsonb NOT NULL,
	"temporary" boolean NOT NULL,
	"message_count" integer DEFAULT 0 NOT NULL,
	"last_message_at" timestamp (3) with time zone,
	"sort_at" timestamp (3) with time zone NOT NULL,
	"active_generation_id" text,
	"next_sequence" integer DEFAULT 1 NOT NULL,
	"fence" integer DEFAULT 0 NOT NULL,
	"log_fence" integer DEFAULT 0 NOT NULL,
	"log_number" integer DEFAULT 0 NOT NULL,
	"deleted_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "users" (
	"id" text PRIMARY KEY NOT NULL,
	"username" text,
	"email" text,
	"role" text NOT NULL,
	"plan" text NOT NULL,
	"claims_issued_at" bigint,
	"session_count" integer DEFAULT 0 NOT NULL,
	"last_seen_at" timestamp (3) with time zone NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "generation_segments" ADD CONSTRAINT "generation_segments_generation_id_generations_id_fk" FOREIGN KEY ("generation_id") REFERENCES "public"."generations"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "generations" ADD CONSTRAINT "generations_session_id_sessions_id_fk" FOREIGN KEY ("session_id") REFERENCES "public"."sessions"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "messages" ADD CONSTRAINT "messages_session_id_sessions_id_fk" FOREIGN KEY ("session_id") REFERENCES "public"."sessions"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "generations_live_session" ON "generations" USING btree ("session_id") WHERE "generations"."status" in ('reserving', 'running');--> statement-breakpoint
CREATE INDEX "generations_live_user" ON "generations" USING btree ("user_id") WHERE "generations"."status" in ('reserving', 'running');--> statement-breakpoint
CREATE INDEX "generations_live_lease" ON "generations" USING btree ("lease_expires_at") WHERE "generations"."status" in ('reserving', 'running');--> statement-breakpoint
CREATE INDEX "generations_session" ON "generations" USING btree ("session_id","created_at");--> statement-breakpoint
CREATE UNIQUE INDEX "generations_claim" ON "generations" USING btree ("session_id","claim_fence");--> statement-breakpoint
CREATE INDEX "idempotency_keys_created" ON "idempotency_keys" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "idempotency_keys_session" ON "idempotency_keys" USING btree ("session_id");--> statement-breakpoint
CREATE INDEX "idempotency_keys_generation" ON "idempotency_keys" USING btree ("generation_id");--> statement-breakpoint
CREATE UNIQUE INDEX "messages_session_sequence" ON "messages" USING btree ("session_id","sequence");--> statement-breakpoint
CREATE INDEX "sessions_listed" ON "sessions" USING btree ("user_id","sort_at","id") WHERE "sessions"."deleted_at" is null and not "sessions"."temporary";--> statement-breakpoint
CREATE INDEX "sessions_tombstones" ON "sessions" USING btree ("deleted_at") WHERE "sessions"."deleted_at" is not null;