CREATE TABLE "accounting_outbox" (
	"id" text PRIMARY KEY NOT NULL,
	"usage_id" text NOT NULL,
	"body" jsonb NOT NULL,
	"state" text NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"refusals" integer DEFAULT 0 NOT NULL,
	"next_attempt_at" timestamp (3) with time zone NOT NULL,
	"leased_by" text,
	"last_status" integer,
	"created_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "audit_log" (
	"id" text PRIMARY KEY NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"actor_id" text NOT NULL,
	"actor_role" text NOT NULL,
	"action" text NOT NULL,
	"subject_id" text,
	"session_id" text,
	"connection_id" text,
	"client_address" text,
	"request_id" text NOT NULL,
	"reason" text
);
--> statement-breakpoint
CREATE TABLE "credit_accounts" (
	"user_id" text PRIMARY KEY NOT NULL,
	"granted" bigint DEFAULT 0 NOT NULL,
	"held" bigint DEFAULT 0 NOT NULL,
	"spent" bigint DEFAULT 0 NOT NULL,
	"absorbed" bigint DEFAULT 0 NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "credit_accounts_balance" CHECK ("credit_accounts"."granted" - "credit_accounts"."held" - "credit_accounts"."spent" >= 0),
	CONSTRAINT "credit_accounts_amounts" CHECK ("credit_accounts"."held" >= 0 and "credit_accounts"."spent" >= 0 and "credit_accounts"."absorbed" >= 0)
);
--> statement-breakpoint
CREATE TABLE "ledger_entries" (
	"user_id" text NOT NULL,
	"key" text NOT NULL,
	"kind" text NOT NULL,
	"amount" bigint NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "ledger_entries_user_id_key_pk" PRIMARY KEY("user_id","key")
);
--> statement-breakpoint
CREATE TABLE "observations" (
	"id" text PRIMARY KEY NOT NULL,
	"session_id" text NOT NULL,
	"subject_id" text NOT NULL,
	"observer_id" text NOT NULL,
	"observer_role" text NOT NULL,
	"owner" text NOT NULL,
	"lease_expires_at" timestamp (3) with time zone NOT NULL,
	"client_address" text,
	"request_id" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "quota_usage" (
	"user_id" text NOT NULL,
	"period" text NOT NULL,
	"sessions" integer DEFAULT 0 NOT NULL,
	"messages" integer DEFAULT 0 NOT NULL,
	"tokens" bigint DEFAULT 0 NOT NULL,
	"compute_milliseconds" bigint DEFAULT 0 NOT NULL,
	CONSTRAINT "quota_usage_user_id_period_pk" PRIMARY KEY("user_id","period")
);
--> statement-breakpoint
CREATE TABLE "usage_records" (
	"usage_id" text PRIMARY KEY NOT NULL,
	"user_id" text NOT NULL,
	"session_id" text NOT NULL,
	"model_id" text NOT NULL,
	"plan" text NOT NULL,
	"state" text NOT NULL,
	"held" bigint,
	"hold_id" text,
	"charged" bigint,
	"absorbed" bigint DEFAULT 0 NOT NULL,
	"input_tokens" integer,
	"output_tokens" integer,
	"outcome" text,
	"quota_tokens" integer DEFAULT 0 NOT NULL,
	"day" text,
	"month" text,
	"created_at" timestamp (3) with time zone NOT NULL,
	"settled_at" timestamp (3) with time zone
);
--> statement-breakpoint
ALTER TABLE "generations" ADD COLUMN "served_by" text;--> statement-breakpoint
CREATE UNIQUE INDEX "accounting_outbox_usage" ON "accounting_outbox" USING btree ("usage_id");--> statement-breakpoint
CREATE INDEX "accounting_outbox_due" ON "accounting_outbox" USING btree ("next_attempt_at") WHERE "accounting_outbox"."state" = 'pending';--> statement-breakpoint
CREATE INDEX "audit_log_time" ON "audit_log" USING btree ("at","id");--> statement-breakpoint
CREATE INDEX "audit_log_actor" ON "audit_log" USING btree ("actor_id","at","id");--> statement-breakpoint
CREATE INDEX "audit_log_subject" ON "audit_log" USING btree ("subject_id","at","id");--> statement-breakpoint
CREATE UNIQUE INDEX "audit_log_connection" ON "audit_log" USING btree ("connection_id","action");--> statement-breakpoint
CREATE INDEX "observations_session" ON "observations" USING btree ("session_id");--> statement-breakpoint
CREATE INDEX "observations_lease" ON "observations" USING btree ("lease_expires_at");--> statement-breakpoint
CREATE INDEX "usage_records_held" ON "usage_records" USING btree ("user_id") WHERE "usage_records"."state" = 'held';--> statement-breakpoint
CREATE INDEX "usage_records_user" ON "usage_records" USING btree ("user_id","created_at");--> statement-breakpoint
CREATE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'audit_log is append-only'; END $$;--> statement-breakpoint
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON "audit_log" FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();--> statement-breakpoint
-- What was admitted before credits were counted is charged nothing.
INSERT INTO usage_records (usage_id, user_id, session_id, model_id, plan, state, charged, created_at, settled_at) SELECT id, user_id, session_id, model_id, '', 'released', 0, created_at, coalesce(ended_at, created_at) FROM generations WHERE admitted_at IS NOT NULL;
