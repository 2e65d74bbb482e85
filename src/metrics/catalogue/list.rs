//! The families, group by group.

use super::{Family, Group, Kept, Kind, Presence};

/// Declares families: `IDENT: Kind "name" [labels] Kept Presence "help";` under their group.
macro_rules! families {
    ($($group:ident { $($ident:ident: $kind:ident $name:literal [$($label:literal),*] $kept:ident $presence:ident $help:literal;)+ })+) => {
        $($(
            #[doc = concat!("`", $name, "`: ", $help)]
            pub static $ident: Family = Family {
                group: Group::$group,
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                kept: Kept::$kept,
                presence: Presence::$presence,
                help: $help,
            };
        )+)+

        /// Every family, in the order in which they are documented.
        pub static ALL: &[&Family] = &[$($(&$ident),+),+];
    };
}

families! {
    Exporter {
        BUILD_INFO: Gauge "exotel_exporter_build_info" ["version", "revision"] Process Always
            "Constant 1 with the version and revision of the program.";
        READY: Gauge "exotel_exporter_ready" [] Process Always
            "1 when the store is open and the listeners are bound.";
        FIRST_CYCLE_DONE: Gauge "exotel_exporter_first_cycle_done" ["account"] Process Always
            "1 once the first cycle of every enabled kind (health poll, sync) has ended, whatever its result.";
        TASK_RESTARTS: Counter "exotel_exporter_task_restarts_total" ["task"] Process Always
            "Background tasks that stopped and were started again.";
        RELOAD_SUCCESSFUL: Gauge "exotel_exporter_config_last_reload_successful" [] Process Always
            "1 if the last attempt to load the configuration was applied, 0 if it was refused.";
        RELOAD_TIMESTAMP: Gauge "exotel_exporter_config_last_reload_success_timestamp_seconds" [] Process Always
            "When the configuration in force was applied.";
        LABEL_OVERFLOWS: Counter "exotel_exporter_label_overflows_total" ["label"] Process Always
            "Observations counted under _other because the label had reached its limit of values.";
        UP: Gauge "exotel_up" ["account"] Process Always
            "0 if the newest finished cycle of every enabled kind failed, else 1.";
    }
    Api {
        API_REQUESTS: Counter "exotel_api_requests_total" ["account", "endpoint", "code"] Process Always
            "Requests sent to Exotel, retries included, by HTTP status; code none when no answer came.";
        API_REQUEST_FAILURES: Counter "exotel_api_request_failures_total" ["account", "endpoint", "reason"] Process Always
            "Requests to Exotel that failed, retries included, by reason.";
        API_OPERATIONS_ABANDONED: Counter "exotel_api_operations_abandoned_total" ["account", "endpoint"] Process Always
            "Reads given up after every retry failed.";
        API_REQUEST_DURATION: Histogram "exotel_api_request_duration_seconds" ["account", "endpoint"] Process Always
            "Time from sending one request to the end of its answer.";
        API_AUTH_OK: Gauge "exotel_api_auth_ok" ["account"] Process Always
            "0 from a 401 until Exotel accepts a request again, else 1.";
        API_CLOCK_OFFSET: Gauge "exotel_api_clock_offset_seconds" ["account"] Process Sometimes
            "Date header of successful answers minus the local clock; absent before the first. One more than a minute off is believed when three in a row agree.";
        API_THROTTLE_WAIT: Histogram "exotel_api_throttle_wait_seconds" ["account", "pool", "priority"] Process Always
            "Time a request waited for room under the request limit.";
        API_QUEUE_LENGTH: Gauge "exotel_api_queue_length" ["account", "pool"] Process Always
            "Requests that wait for room under the request limit.";
        API_QUOTA: Gauge "exotel_api_quota_requests" ["account", "pool"] Process Always
            "Requests per minute allowed now: as configured, or lower where Exotel said so.";
        API_QUOTA_REMAINING: Gauge "exotel_api_quota_remaining_requests" ["account", "pool"] Process Sometimes
            "Remaining requests as Exotel last reported them; absent while it reports none.";
    }
    Sync {
        SYNC_RUNS: Counter "exotel_sync_runs_total" ["account", "trigger", "outcome"] Store Always
            "Finished sync runs by trigger and outcome; partial means that rows were set aside.";
        SYNC_INTERVAL: Gauge "exotel_sync_interval_seconds" ["account"] Process Always
            "Configured time between sync runs.";
        SYNC_LOOKBACK: Gauge "exotel_sync_lookback_seconds" ["account"] Process Always
            "Configured age up to which a call may still appear or change.";
        SYNC_LAG: Gauge "exotel_sync_lag_seconds" ["account"] Process Always
            "How far behind the present calls of a big account are read first, as configured or worked out.";
        SYNC_LAST_SUCCESS: Gauge "exotel_sync_last_success_timestamp_seconds" ["account"] Store Always
            "End of the last successful scheduled or manual run; the first start before there was one.";
        SYNC_LAST_RUN_DURATION: Gauge "exotel_sync_last_run_duration_seconds" ["account"] Process Sometimes
            "How long the last run took; absent before the first.";
        SYNC_WATERMARK: Gauge "exotel_sync_watermark_timestamp_seconds" ["account"] Store Always
            "Every call created before this time is read and final.";
        SYNC_HEAD: Gauge "exotel_sync_head_timestamp_seconds" ["account"] Store Always
            "Every call that was visible up to this creation time is read.";
        SYNC_RECORDS: Counter "exotel_sync_records_total" ["account", "result"] Store Always
            "Rows read from Exotel by what they brought: new, updated, unchanged or rejected.";
        SYNC_ROWS_SET_ASIDE: Gauge "exotel_sync_rows_set_aside" ["account"] Store Always
            "Rows that could not be read and are kept to be read again.";
        SYNC_WINDOWS_CUT: Counter "exotel_sync_windows_cut_total" ["account"] Store Always
            "Windows of time left incomplete by a page limit.";
        SYNC_AUDITED_WINDOWS: Counter "exotel_sync_audited_windows_total" ["account", "result"] Store Always
            "Closed windows whose stored calls were compared with the total that Exotel gives.";
        SYNC_AUDIT_FOUND: Counter "exotel_sync_audit_found_calls_total" ["account"] Store Always
            "Calls that only such a comparison found.";
    }
    Health {
        EXOPHONE_UP: Gauge "exotel_exophone_up" ["account", "exophone", "direction"] Store Sometimes
            "By poll: 1 reachable, 0 major outage; absent when not known, and when the answer is older than 3 intervals or 2 rounds of polls.";
        EXOPHONE_STATE: Gauge "exotel_exophone_state" ["account", "exophone", "direction", "state"] Store Sometimes
            "By poll: 1 for the current state of active, partial, outage and unknown; absent when the answer is as old as that.";
        EXOPHONE_LAST_CHECK: Gauge "exotel_exophone_last_check_timestamp_seconds" ["account", "exophone", "direction"] Store Sometimes
            "When Exotel last checked the connectivity of the number, by its own words.";
        EXOPHONE_LAST_ANSWER: Gauge "exotel_exophone_last_answer_timestamp_seconds" ["account", "exophone"] Store Sometimes
            "When Exotel last answered a poll of the number.";
        EXOPHONE_STATE_CHANGES: Counter "exotel_exophone_state_changes_total" ["account", "exophone", "direction"] Store Sometimes
            "Changes of the state that polls found.";
        EXOPHONE_PAGING: Gauge "exotel_exophone_paging" ["account", "exophone"] Process Sometimes
            "1 for numbers whose outage is to page, by accounts[].page_exophones, else 0.";
        HEALTH_CHECKS: Counter "exotel_health_checks_total" ["account", "status"] Store Sometimes
            "Rounds of health polls by verdict: OK, WARNING, CRITICAL or ERROR; only where heartbeat.enabled is on.";
        HEALTH_POLL_INTERVAL: Gauge "exotel_health_poll_interval_seconds" ["account"] Process Sometimes
            "Configured time between rounds of health polls; only where they are on.";
        HEALTH_POLL_LAST_SUCCESS: Gauge "exotel_health_poll_last_success_timestamp_seconds" ["account"] Store Sometimes
            "End of the last round in which every number that was asked answered; the first start before there was one.";
        HEARTBEAT_STATUS: Gauge "exotel_heartbeat_status" ["account", "status"] Store Sometimes
            "By push: 1 for the current status of OK, WARNING, CRITICAL and PAYLOAD_TOO_LARGE; absent when the last heartbeat is older than 3 times the expected interval.";
        HEARTBEAT_AFFECTED: Gauge "exotel_heartbeat_exophone_affected" ["account", "exophone", "direction"] Store Sometimes
            "By push: 1 affected, 0 not; absent likewise, and when the heartbeat left the numbers out.";
        HEARTBEAT_EXPECTED: Gauge "exotel_heartbeat_expected_interval_seconds" ["account"] Process Sometimes
            "Configured time between heartbeats; only where accounts[].expected_webhooks names them.";
    }
    Calls {
        EXOPHONES: Gauge "exotel_exophones" ["account"] Process Always
            "ExoPhones known to the program.";
        EXOPHONE_INFO: Gauge "exotel_exophone_info" ["account", "exophone", "sid"] Process Sometimes
            "Constant 1 for each known ExoPhone, with the id that Exotel gives it.";
        CALLS: Counter "exotel_calls_total" ["account", "exophone", "direction", "status"] Store Sometimes
            "Settled calls, each counted once; legs of another call are not counted.";
        CALL_OUTCOMES: Counter "exotel_call_outcomes_total" ["account", "exophone", "direction", "outcome"] Store Sometimes
            "Settled calls by what became of them, told from status, legs and conversation time.";
        CALLS_SHORT: Counter "exotel_calls_short_total" ["account", "exophone", "direction"] Store Sometimes
            "Answered calls whose conversation was shorter than sync.short_call.";
        CALL_LEGS: Counter "exotel_call_legs_total" ["account", "leg", "status"] Store Always
            "Legs of settled calls by result, where Exotel gave leg details.";
        CALL_SECONDS: Counter "exotel_call_seconds_total" ["account", "exophone", "direction"] Store Sometimes
            "Duration of settled calls, from dialling to hanging up.";
        CALL_CONVERSATION_SECONDS: Counter "exotel_call_conversation_seconds_total" ["account", "exophone", "direction"] Store Sometimes
            "Time in which both sides of settled calls spoke.";
        CALL_CONVERSATION_DURATION: Histogram "exotel_call_conversation_duration_seconds" ["account", "direction"] Store Always
            "Conversation time of each answered call.";
        CALL_SETUP_DURATION: Histogram "exotel_call_setup_duration_seconds" ["account", "direction"] Store Always
            "Duration minus conversation time of each answered call: ringing, menus and queue.";
        CALL_COST: Counter "exotel_call_cost_total" ["account", "exophone", "direction", "currency"] Store Sometimes
            "Price of calls in the currency of the account.";
        CALL_COST_REFUNDS: Counter "exotel_call_cost_refunds_total" ["account", "currency"] Store Always
            "Amounts by which prices fell after they had been counted.";
        CALL_SETTLE_DELAY: Histogram "exotel_call_settle_delay_seconds" ["account"] Store Always
            "Time from the end of a call until it was counted.";
        CALL_DETAILS: Counter "exotel_call_details_total" ["account", "result"] Store Always
            "Calls that need leg details, by how they came: inline, fetched, skipped or failed.";
        CALL_CORRECTIONS: Counter "exotel_call_corrections_total" ["account", "field"] Store Always
            "Values that Exotel changed after the call had been counted.";
        CALLS_UNSETTLED: Gauge "exotel_calls_unsettled" ["account"] Store Always
            "Calls that have ended and are not yet counted.";
        CALLS_UNSETTLED_OLDEST: Gauge "exotel_calls_unsettled_oldest_timestamp_seconds" ["account"] Store Sometimes
            "When the oldest call ended that is not yet counted; absent when there is none.";
        CALLS_UNPRICED: Gauge "exotel_calls_unpriced" ["account"] Store Always
            "Completed calls of the last 7 days that have no price yet.";
        CHANNEL_LIMIT: Gauge "exotel_account_channel_limit" ["account"] Process Sometimes
            "Configured number of concurrent calls; only where accounts[].channel_limit is set.";
    }
    Sms {
        SMS_MESSAGES: Counter "exotel_sms_messages_total" ["account", "status"] Store Sometimes
            "Messages with a final report, each counted once, by status.";
        SMS_CODES: Counter "exotel_sms_codes_total" ["account", "family"] Store Sometimes
            "The same messages by family of Exotel's number: handset, operator, refused, dlt, error, other.";
        SMS_DELIVERY_DELAY: Histogram "exotel_sms_delivery_delay_seconds" ["account"] Store Sometimes
            "Time from handing a message in to its final report, where Exotel says when it was handed in.";
    }
    Balance {
        ACCOUNT_BALANCE: Gauge "exotel_account_balance" ["account", "currency"] Process Sometimes
            "Balance as last read; only where accounts[].balance is enabled.";
        BALANCE_LAST_SUCCESS: Gauge "exotel_balance_last_success_timestamp_seconds" ["account"] Process Sometimes
            "When the balance was last read.";
    }
    Webhooks {
        WEBHOOK_REQUESTS: Counter "exotel_webhook_requests_total" ["account", "kind", "outcome"] Process Sometimes
            "Callbacks received, by kind and what became of them; only for accounts with a webhook secret.";
        WEBHOOK_HANDLING_DURATION: Histogram "exotel_webhook_handling_duration_seconds" ["kind"] Process Sometimes
            "Time until a callback with the right secret was answered. Exotel gives up after 15 s.";
        WEBHOOK_LAST_RECEIVED: Gauge "exotel_webhook_last_received_timestamp_seconds" ["account", "kind"] Store Sometimes
            "When the last new callback came, and never before this process started; for expected kinds and those that came once.";
    }
    Callbacks {
        CALL_EVENTS: Counter "exotel_call_events_total" ["account", "event", "status"] Store Sometimes
            "Callbacks about calls, each event and status once for a call, as they come; only for accounts that take webhooks.";
        CALLS_IN_PROGRESS: Gauge "exotel_calls_in_progress" ["account", "direction"] Store Sometimes
            "Estimate of the calls that go on: callbacks named them within the look-back, and nobody said that they ended.";
        CALL_ANSWER_DELAY: Histogram "exotel_call_answer_delay_seconds" ["account", "direction"] Store Sometimes
            "Time from the start of a call until a callback said that both sides are on the line.";
        RECONCILE_CALLS: Counter "exotel_reconcile_calls_total" ["account", "seen"] Store Sometimes
            "Settled calls by who had reported them by then: the API alone, or a callback too. No call settles by callbacks alone.";
        RECONCILE_MISMATCHES: Counter "exotel_reconcile_mismatches_total" ["account", "field"] Store Sometimes
            "Settled calls of which a final callback and the API say something else, each field once for a call.";
        CALLBACKS_EXPECTED: Counter "exotel_webhook_calls_expected_total" ["account"] Store Sometimes
            "Settled calls that a callback should announce; only where accounts[].expected_webhooks asks for it.";
        CALLBACKS_MISSED: Counter "exotel_webhook_calls_missed_total" ["account"] Store Sometimes
            "Those of them without a final callback webhooks.missed_after after their end. One that comes later does not take it back.";
        CALLBACKS_UNCONFIRMED: Counter "exotel_webhook_calls_unconfirmed_total" ["account"] Store Sometimes
            "Calls that only callbacks named, and that the API did not know 12 times sync.settle_after later (6 h).";
    }
    Store {
        STORE_SIZE: Gauge "exotel_store_size_bytes" [] Process Sometimes
            "Size of the store file, read in the background every few seconds.";
        STORE_SIZE_LIMIT: Gauge "exotel_store_size_limit_bytes" [] Process Sometimes
            "Configured size that the store should not exceed; only where store.max_size is set.";
        STORE_FILESYSTEM_AVAIL: Gauge "exotel_store_filesystem_avail_bytes" [] Process Sometimes
            "Space left for us on the file system under the store.";
        STORE_FILESYSTEM_SIZE: Gauge "exotel_store_filesystem_size_bytes" [] Process Sometimes
            "Size of the file system under the store.";
        STORE_RECORDS: Gauge "exotel_store_records" ["table"] Process Always
            "Rows in each table of the store.";
        STORE_ERRORS: Counter "exotel_store_errors_total" ["op"] Process Always
            "Store operations that failed.";
        STORE_OPERATION_DURATION: Histogram "exotel_store_operation_duration_seconds" ["op"] Process Always
            "Time that store operations took.";
        STORE_PRUNED: Counter "exotel_store_pruned_records_total" ["table"] Process Always
            "Rows removed because of their age or on request.";
    }
    Process {
        PROCESS_CPU: Counter "process_cpu_seconds_total" [] Process Sometimes
            "Total user and system CPU time spent in seconds.";
        PROCESS_OPEN_FDS: Gauge "process_open_fds" [] Process Sometimes
            "Number of open file descriptors.";
        PROCESS_MAX_FDS: Gauge "process_max_fds" [] Process Sometimes
            "Maximum number of open file descriptors.";
        PROCESS_VIRTUAL_MEMORY: Gauge "process_virtual_memory_bytes" [] Process Sometimes
            "Virtual memory size in bytes.";
        PROCESS_VIRTUAL_MEMORY_MAX: Gauge "process_virtual_memory_max_bytes" [] Process Sometimes
            "Maximum amount of virtual memory available in bytes.";
        PROCESS_RESIDENT_MEMORY: Gauge "process_resident_memory_bytes" [] Process Sometimes
            "Resident memory size in bytes.";
        PROCESS_START_TIME: Gauge "process_start_time_seconds" [] Process Sometimes
            "Start time of the process since unix epoch in seconds.";
    }
}
