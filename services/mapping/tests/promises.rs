//! What mapping promises, one function each, held against the engine and against the engine behind gRPC, on each store.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends where it fails")]

#[path = "promises/aws_auth.rs"]
mod aws_auth;
#[path = "promises/aws_mode.rs"]
mod aws_mode;
#[path = "promises/bench.rs"]
mod bench;
#[path = "promises/blocks.rs"]
mod blocks;
#[path = "promises/break_glass.rs"]
mod break_glass;
#[path = "promises/clusters.rs"]
mod clusters;
#[path = "promises/deleted.rs"]
mod deleted;
#[path = "promises/entries.rs"]
mod entries;
#[path = "promises/identity_providers.rs"]
mod identity_providers;
#[path = "promises/lockout.rs"]
mod lockout;
#[path = "promises/resolve.rs"]
mod resolve;
#[path = "promises/several.rs"]
mod several;
#[path = "promises/spokes.rs"]
mod spokes;
#[path = "promises/tags.rs"]
mod tags;
#[path = "promises/tenants.rs"]
mod tenants;
#[path = "promises/updates.rs"]
mod updates;
#[path = "promises/watch.rs"]
mod watch;

/// Instantiates promises for the engine and for the engine behind gRPC.
macro_rules! suite {
    ($($group:ident: $($promise:ident),* $(,)?;)*) => {
        mod engine { $(mod $group { $(
            lanyard_store::on_each_store!($promise: database => {
                crate::$group::$promise(crate::bench::engine(database).await).await;
            });
        )* })* }

        mod grpc { $(mod $group { $(
            lanyard_store::on_each_store!($promise: database => {
                crate::$group::$promise(crate::bench::grpc(database).await).await;
            });
        )* })* }
    };
}

suite! {
    clusters:
        a_cluster_is_born_with_its_creator_as_a_visible_administrator,
        a_creator_who_is_a_session_is_known_by_its_whole_role,
        the_creators_entry_is_removed_like_any_other,
        a_taken_id_gets_another_end_and_a_taken_name_is_refused,
        a_change_of_a_cluster_is_held_against_every_rule,
        modes_go_one_way,
        immunity_37_a_cluster_made_anew_under_a_name_shares_nothing_with_the_one_before,
        clusters_page_without_gap_or_repetition,
        the_directory_has_every_change_before_the_call_returns,
        a_spokes_bearer_token_is_shown_once_and_kept_as_a_hash,
        immunity_39_a_deleted_spoke_credential_is_out_of_the_directory_before_the_call_returns,
        nodes_are_bound_by_session_role_and_name,
        a_deleted_node_is_nobody_at_the_next_login,
        a_token_of_a_cluster_has_its_first_answer_whatever_the_rules_say_by_now,
        the_same_signed_request_is_answered_once_and_then_repeated;
    entries:
        an_entry_is_made_read_listed_changed_and_deleted,
        each_rule_refuses_with_its_own_code,
        entries_are_limited,
        a_local_principal_has_to_exist_and_its_id_is_kept,
        a_local_principal_in_another_spelling_is_named_as_it_is,
        a_principal_made_anew_leaves_its_entry_stale_until_it_is_bound_again,
        a_principal_of_aws_is_bound_again_to_whom_its_authority_proved,
        a_policy_is_associated_once_and_its_scope_is_replaced,
        a_policy_is_held_against_every_rule,
        the_limit_of_an_entrys_policies_holds_for_those_added_at_once,
        immunity_15_names_are_compared_byte_by_byte,
        immunity_43_a_principal_has_one_entry_however_it_is_spelled,
        immunity_31_of_entries_for_the_same_the_one_that_counts_is_meant,
        immunity_43_of_entries_from_before_for_one_principal_each_is_reached_as_it_is_written,
        lists_page_without_gap_or_repetition,
        lists_of_one_policy_page_without_gap_or_repetition,
        immunity_16_an_end_is_kept_to_the_moment,
        a_token_has_its_first_answer_whatever_the_rules_say_by_now,
        a_fresh_start_answers_what_the_changes_left;
    deleted:
        immunity_42_deleting_an_entry_says_what_its_principal_still_resolves_to,
        immunity_42_what_is_left_is_what_whoever_knocks_gets,
        immunity_42_a_line_that_lets_nobody_in_is_not_what_is_left;
    resolve:
        a_badge_has_uid_extra_and_a_proof_that_verifies,
        a_sessions_proof_names_all_that_it_descends_from,
        immunity_17_a_new_entry_counts_at_once,
        immunity_25_a_revocation_that_has_returned_has_happened,
        immunity_60_a_group_that_was_taken_is_in_no_later_badge,
        who_comes_again_gets_the_same_badge_for_seconds_and_a_new_one_with_any_change,
        what_others_vouch_for_may_be_kept_for_seconds_and_while_its_three_scopes_stay,
        immunity_31_an_account_is_of_one_authority_whatever_a_cluster_says,
        a_preview_has_no_proof,
        a_preview_of_a_local_principal_is_of_the_one_that_is_there,
        near_misses_are_named_when_asked_for,
        what_names_somebody_who_is_refused_for_another_reason_is_no_near_miss,
        another_cluster_that_maps_somebody_is_named_though_nobody_asked_it_yet,
        a_break_glass_identity_from_anywhere_else_is_refused;
    several:
        immunity_06_an_entry_for_a_permission_set_lets_in_its_roles_alone,
        what_could_mean_the_same_principal_is_refused_when_written,
        immunity_43_two_patterns_written_at_once_do_not_overlap,
        an_entry_for_one_goes_before_a_pattern_and_its_end_does_not_raise_rights,
        immunity_42_deleting_a_pattern_says_whom_aws_auth_lets_in_again,
        a_preview_shows_whom_an_entry_would_mean,
        immunity_43_an_entry_is_pinned_to_whoever_knocks_first,
        immunity_43_of_two_who_race_for_a_pin_one_gets_it,
        immunity_43_nobody_is_let_in_by_a_pin_that_cannot_be_written,
        immunity_42_a_block_that_is_made_while_a_pin_waits_holds,
        nobody_is_pinned_after_the_end_and_what_cannot_be_pinned_is_refused,
        immunity_56_who_may_not_exist_is_no_administrator;
    watch:
        a_watch_tells_what_there_is_and_each_change,
        a_watch_goes_on_where_another_ended,
        immunity_37_a_watch_does_not_go_on_in_a_cluster_made_anew_under_the_id,
        a_watch_that_goes_on_after_any_event_misses_nothing,
        a_watch_that_nobody_reads_tells_the_truth_at_last,
        that_a_principal_of_the_hub_was_made_anew_is_told,
        watches_are_limited_and_each_place_is_given_back;
    aws_auth:
        a_bad_version_is_kept_as_rejected_and_the_last_good_one_stays_in_force,
        a_part_that_is_bad_costs_nothing_else,
        a_part_that_is_no_yaml_holds_back_the_parts_beside_it,
        a_slip_around_the_parts_cuts_nobody_off,
        a_version_that_a_later_rule_would_refuse_stays_in_force,
        the_same_version_again_is_no_new_one,
        old_versions_go_and_the_one_in_force_stays,
        a_spoke_pushes_its_own_and_nothing_else,
        immunity_28_a_spoke_that_floods_changes_is_told_to_come_again_and_an_operator_is_not,
        it_counts_by_mode;
    spokes:
        a_kubeconfig_is_kept_reduced_and_sealed_and_never_shown,
        immunity_34_a_kubeconfig_that_would_make_the_hub_do_something_is_refused_by_name,
        one_replica_has_a_cluster_and_another_takes_over,
        a_watcher_inside_of_a_cluster_says_how_it_goes_and_its_silence_shows,
        immunity_38_a_sealed_kubeconfig_that_was_moved_does_not_open,
        immunity_39_a_spokes_certificate_counts_until_it_is_deleted,
        immunity_37_a_cluster_that_is_gone_is_lent_to_nobody;
    blocks:
        immunity_42_a_block_beats_every_mapping_in_every_mode,
        a_block_of_the_account_or_hub_holds_everywhere_below,
        a_block_reaches_sessions_through_what_they_descend_from,
        a_block_that_stops_nobody_says_so,
        blocks_are_listed_with_who_and_why_and_lifted;
    identity_providers:
        a_configuration_is_associated_described_listed_and_disassociated,
        each_rule_refuses_with_its_own_code,
        configurations_are_limited,
        the_same_signed_request_is_answered_once_and_then_repeated,
        claims_become_a_badge_with_a_proof_that_verifies,
        immunity_52_an_audience_of_two_clusters_is_refused_unless_both_share_it,
        immunity_52_an_audience_that_the_sts_exchanges_is_refused_unless_it_is_shared,
        immunity_39_a_configuration_that_is_gone_lets_nobody_in,
        immunity_31_an_entrys_template_never_becomes_somebody_of_an_issuer,
        immunity_44_no_session_is_called_as_somebody_of_an_issuer_without_a_prefix,
        a_line_of_aws_auth_with_an_issuers_username_is_told_when_it_is_pushed,
        immunity_42_a_block_on_a_subject_or_issuer_beats_the_configuration;
    break_glass:
        it_lets_one_in_once_within_the_hour,
        its_use_is_a_line_of_the_chain_once_it_has_answered,
        it_lets_nobody_in_whose_use_cannot_be_written,
        of_two_who_come_at_once_one_gets_in,
        it_is_outside_system_masters_and_its_proof_verifies,
        immunity_57_its_credential_lies_nowhere_in_the_clear,
        it_is_visible_replaced_and_put_away;
    lockout:
        immunity_56_no_mutation_takes_the_last_administrator,
        immunity_56_every_mutating_method_is_looked_at,
        immunity_56_an_aws_auth_without_administrators_is_kept_out_of_force,
        immunity_56_who_can_never_be_given_a_username_is_no_administrator,
        immunity_56_no_issuer_takes_the_usernames_of_those_who_are_there,
        immunity_56_a_username_that_is_an_issuers_makes_no_administrator,
        immunity_56_whom_an_issuer_kept_out_counts_again_once_it_is_gone,
        immunity_56_administrators_of_before_the_rules_are_counted_anew_once,
        immunity_56_no_block_stops_everybody_who_may_lift_it,
        a_lockout_is_allowed_by_name_or_by_tag;
    tags:
        tags_are_put_on_listed_and_taken_off_by_arn,
        a_resource_has_fifty_tags_and_none_of_awss,
        a_clusters_agent_has_one_of_two_addresses,
        what_has_another_arn_is_not_what_was_meant,
        a_cluster_may_be_tagged_from_birth_and_anew;
    updates:
        a_change_of_a_cluster_is_answered_with_an_update_that_is_found_again,
        immunity_37_a_cluster_made_anew_has_no_updates_of_the_one_before;
    tenants:
        immunity_33_another_accounts_cluster_does_not_exist_for_any_method,
        immunity_33_every_method_is_looked_at,
        immunity_58_lists_and_near_misses_tell_nothing_of_other_accounts;
}
