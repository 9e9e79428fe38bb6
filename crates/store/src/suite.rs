//! What a store promises, a function for each promise, run on SQLite and on PostgreSQL.

mod belonging;
mod chain;
mod copy;
mod feed;
mod followed;
mod guard_model;
mod lockout;
mod migrations;
mod records;
mod secrets;
mod signatures;
mod tables;
mod tokens;
mod world;

use std::sync::Arc;

use lanyard_kit::TestClock;
use time::{OffsetDateTime, macros::datetime};

use crate::{Store, StoreOptions, sql::Access, test_support::TestDatabase};

pub(super) const NOON: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);

/// A database of a test's own, and the time there.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) database: TestDatabase,
    pub(super) clock: TestClock,
}

impl Bench {
    fn on(database: TestDatabase) -> Self {
        Self { database, clock: TestClock::new(NOON) }
    }

    /// The options of one process. Every process has a keyring of its own.
    pub(super) fn options(&self) -> StoreOptions {
        self.database.options(Arc::new(self.clock.clone()))
    }

    /// One more process with the database.
    pub(super) async fn open(&self) -> Store {
        Store::open(&self.options()).await.unwrap()
    }
}

/// Does something to the database past Lanyard.
pub(super) async fn tamper(store: &Store, sql: &'static str) {
    let (mut connection, _permit) = store.open_connection(Access::Write).await.unwrap();
    connection.execute(sql, []).await.unwrap();
    connection.commit().await.unwrap();
}

/// Instantiates promises for both databases.
macro_rules! store_suite {
    ($($group:ident: $($promise:ident),* $(,)?;)*) => {
        mod promises { $(mod $group { $(
            crate::on_each_store!($promise: database => {
                crate::suite::$group::$promise(crate::suite::Bench::on(database)).await;
            });
        )* })* }
    };
}

store_suite! {
    records:
        a_record_of_every_kind_reads_back_and_is_listed_by_key,
        a_record_is_replaced_only_by_a_different_one,
        what_must_be_unique_is,
        immunity_49_a_signing_key_and_an_issuers_name_are_one_clusters,
        a_service_account_has_one_association,
        the_newest_updates_of_a_cluster_are_kept,
        the_clusters_of_an_account_that_name_a_principal_are_found,
        immunity_52_an_audience_belongs_to_one_cluster_unless_it_is_shared,
        immunity_52_who_takes_an_audience_is_found_among_clusters_and_providers,
        immunity_31_an_account_number_has_one_authority,
        a_record_needs_what_it_names,
        what_is_named_stays,
        what_hangs_on_a_record_goes_with_it_line_by_line,
        immunity_37_a_cluster_takes_all_that_is_its_own_along_and_its_uid_is_never_used_again,
        a_transaction_is_all_or_nothing,
        a_write_outside_the_scopes_begun_with_is_refused,
        immunity_15_keys_are_compared_byte_by_byte,
        immunity_15_a_text_that_one_database_could_not_hold_is_refused_by_both,
        a_text_that_reads_like_sql_is_a_text;
    belonging:
        the_access_keys_of_a_user_are_found,
        the_access_policies_of_an_entry_are_counted,
        the_policies_of_an_owner_and_the_profile_of_a_role_are_found,
        who_bears_an_arn_or_a_unique_id_is_found,
        what_belongs_to_one_is_found_by_an_index;
    chain:
        revisions_have_no_gaps_and_lines_say_who_what_and_why,
        a_mutation_that_changes_nothing_writes_no_line,
        a_mutation_knows_how_much_its_lines_keep,
        an_untouched_chain_verifies,
        immunity_54_a_changed_removed_or_moved_line_is_found,
        immunity_54_a_record_written_past_lanyard_is_found,
        concurrent_mutations_of_a_scope_get_one_revision_each,
        mutations_of_crossing_scopes_do_not_deadlock;
    signatures:
        immunity_32_a_signature_counts_once,
        the_recorded_answer_comes_back_while_nothing_has_changed,
        a_mutation_that_failed_leaves_its_signature_unused,
        an_expired_signature_is_forgotten;
    tokens:
        a_token_seen_again_gets_the_first_answer_whatever_has_happened_since,
        a_token_is_of_one_request_one_operation_and_one_principal,
        immunity_46_of_many_who_send_one_token_at_once_one_does_it,
        a_mutation_that_failed_leaves_its_token_unused,
        an_answer_with_a_secret_is_not_given_twice,
        a_token_is_known_for_a_day_and_a_principals_number_is_bounded;
    lockout:
        immunity_56_each_way_of_losing_the_last_administrator_is_refused,
        a_refusal_names_a_cluster_where_the_call_is_about_it_alone,
        immunity_56_losing_the_last_administrator_is_allowed_when_it_is_said,
        immunity_56_a_second_administrator_makes_each_of_these_harmless,
        immunity_56_who_could_not_log_in_is_no_administrator,
        immunity_56_whose_arn_another_bears_is_no_administrator,
        immunity_56_a_role_counts_while_somebody_can_assume_it,
        immunity_56_no_block_leaves_nobody_who_may_lift_it,
        immunity_56_two_at_once_cannot_take_one_each,
        a_cluster_without_administrators_may_stay_so,
        an_administrator_whose_end_passes_is_not_a_write;
    guard_model:
        immunity_56_the_guard_counts_whom_the_rule_counts;
    secrets:
        a_sealed_value_opens_at_its_place,
        immunity_38_a_sealed_value_that_was_moved_does_not_open,
        a_secret_goes_with_its_record,
        a_rotated_key_seals_anew_and_still_opens_what_is_old,
        another_process_has_a_rotated_key_before_its_followers_see_the_change,
        a_new_version_opens_everywhere_before_it_seals_anywhere,
        what_is_made_of_several_keys_changes_with_all_of_them_at_once,
        a_rotation_is_a_line_of_the_chain,
        what_lies_at_rest_is_sealed_anew_and_then_the_old_version_goes,
        a_version_stays_while_anything_that_it_made_can_live,
        what_lies_at_rest_is_read_by_the_versions_of_its_own_purpose,
        a_version_that_was_not_heard_of_is_asked_for,
        a_store_that_fails_is_asked_for_keys_no_oftener,
        a_store_that_hangs_is_not_waited_for_when_keys_are_asked_for,
        a_value_that_does_not_open_is_left_and_keeps_its_version,
        a_store_opens_with_the_envelope_key_it_was_made_with_alone,
        an_envelope_key_can_be_replaced,
        immunity_61_a_service_has_its_own_purposes_keys_and_no_others,
        a_services_envelope_key_is_replaced_and_the_old_one_opens_nothing,
        a_service_whose_envelope_key_is_replaced_hears_of_all_that_comes_after,
        a_service_is_given_a_version_that_its_giver_has_not_heard_of,
        a_rotated_key_is_sealed_for_those_who_may_have_it_or_not_made,
        first_starts_at_once_make_one_set_of_keys;
    feed:
        immunity_17_a_follower_has_applied_a_commit_before_it_returns,
        a_commit_of_another_process_is_followed_in_order_and_once,
        a_commit_after_anothers_brings_both,
        what_is_not_applied_yet_is_shown_until_it_is,
        a_commit_whose_caller_went_away_is_delivered_all_the_same,
        the_tailer_finds_commits_of_other_processes_by_itself,
        a_commit_that_nobody_is_told_of_is_found_by_the_poll,
        whoever_is_not_told_of_what_the_poll_finds_listens_anew,
        a_commit_while_the_listening_connection_is_cut_waits_for_no_poll,
        whoever_listens_anew_looks_at_once_however_long_that_took,
        a_server_that_goes_without_a_word_is_waited_for_so_long_and_no_longer,
        a_connection_on_which_no_word_comes_any_more_makes_room_for_another,
        a_statement_that_nobody_answers_is_given_up,
        a_commit_that_is_not_answered_in_time_is_found_if_it_was_one,
        a_follower_that_panics_keeps_no_change_from_the_others,
        a_tailer_that_panics_begins_anew,
        immunity_54_a_store_that_went_back_in_time_is_refused;
    followed:
        a_snapshot_is_loaded_on_demand_and_moves_on_with_each_commit,
        many_who_ask_at_once_wait_for_one_load,
        the_snapshot_unread_for_longest_makes_room,
        a_change_of_another_kind_moves_the_revision_alone,
        a_change_that_cannot_be_read_drops_the_snapshot,
        a_snapshot_that_panics_at_a_change_is_dropped,
        a_change_during_a_load_is_not_lost,
        an_access_key_comes_with_what_is_sealed_for_it,
        whatever_the_order_of_commits_a_followed_snapshot_is_a_fresh_load;
    migrations:
        what_is_up_to_date_is_left_alone,
        a_database_of_a_newer_program_is_refused_by_name_and_left_as_it_is;
    tables:
        decisions_are_kept_within_their_bounds,
        a_batch_of_any_size_is_kept_whole,
        decisions_that_are_not_taken_in_time_are_given_up,
        a_lease_has_one_holder_at_a_time,
        a_lease_of_a_clock_that_was_ahead_is_nobodys,
        what_a_watcher_says_is_kept_while_its_cluster_is_there,
        a_watcher_that_lost_its_lease_changes_nothing_any_more,
        settings_read_back_in_their_types,
        an_external_url_is_the_first_that_was_told_until_another_is_stored,
        a_store_opens_again_as_it_was;
}
