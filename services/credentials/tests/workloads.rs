//! What [`lanyard_api::credentials::Workloads`], [`lanyard_api::credentials::Issuers`], [`lanyard_api::credentials::Pods`],
//! [`lanyard_api::credentials::Associations`] and [`lanyard_api::credentials::Vend`] promise, a function for each promise, of the engine
//! and of the engine behind gRPC, on each store.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends where it fails")]

#[path = "workloads/associations.rs"]
mod associations;
#[path = "workloads/attacks.rs"]
mod attacks;
#[path = "workloads/aws_road.rs"]
mod aws_road;
#[path = "workloads/aws_source.rs"]
mod aws_source;
#[path = "workloads/bearers.rs"]
mod bearers;
#[path = "workloads/bench.rs"]
mod bench;
#[path = "workloads/blocks.rs"]
mod blocks;
#[path = "workloads/hosted.rs"]
mod hosted;
#[path = "workloads/irsa.rs"]
mod irsa;
#[path = "workloads/issuers.rs"]
mod issuers;
#[path = "workloads/opener.rs"]
mod opener;
#[path = "workloads/pods.rs"]
mod pods;
#[path = "workloads/road.rs"]
mod road;
#[path = "workloads/service_accounts.rs"]
mod service_accounts;
#[path = "workloads/sources.rs"]
mod sources;
#[path = "workloads/tenants.rs"]
mod tenants;
#[path = "workloads/vending.rs"]
mod vending;

/// Instantiates promises for the engine and for the engine behind gRPC.
macro_rules! suite {
    ($($group:ident: $($promise:ident),* $(,)?;)*) => {
        mod engine { $(mod $group { $(
            lanyard_store::on_each_store!($promise: database => {
                let bench = crate::bench::Bench::new(&database).await;
                crate::$group::$promise(&bench, &bench.engine).await;
            });
        )* })* }

        mod grpc { $(mod $group { $(
            lanyard_store::on_each_store!($promise: database => {
                let bench = crate::bench::Bench::new(&database).await;
                crate::$group::$promise(&bench, &bench.grpc()).await;
            });
        )* })* }
    };
}

suite! {
    associations:
        one_is_made_found_changed_and_taken_away,
        a_service_account_has_one_and_the_refusal_names_it,
        they_are_listed_in_order_and_by_filter,
        what_breaks_a_rule_is_not_written,
        a_cluster_has_no_more_associations_than_the_limit,
        immunity_11_a_role_of_use_in_any_cluster_is_refused_unless_forced_and_the_condition_proposed,
        immunity_37_a_cluster_that_is_gone_takes_its_associations_along,
        an_association_is_tagged_by_its_arn,
        a_signed_request_seen_again_makes_no_second_one;
    blocks:
        immunity_20_a_block_on_a_role_or_its_account_stops_vends_and_ends_what_is_kept,
        immunity_20_a_block_on_the_target_role_or_its_account_stops_vends,
        immunity_20_a_session_or_a_key_that_is_blocked_is_given_to_nobody_again;
    hosted:
        keys_are_published_overlap_and_are_retired_when_their_tokens_have_ended,
        immunity_49_an_issuers_keys_come_from_one_place_and_are_one_clusters,
        who_retires_a_key_is_told_whether_tokens_count_on_by_what_the_api_server_serves,
        an_issuer_elsewhere_is_described_and_not_served,
        the_hub_signs_with_keys_of_its_own_that_verify_no_pod,
        immunity_37_a_cluster_that_is_gone_has_no_issuer_at_the_hub_and_no_key,
        a_hub_that_does_not_know_its_url_has_no_issuers;
    pods:
        a_pod_gets_the_role_of_its_association_or_of_its_service_account,
        a_service_account_that_comes_a_moment_later_is_waited_for,
        a_namespace_that_asks_for_it_has_no_pod_of_which_nobody_can_say_what_it_should_get,
        who_makes_a_pod_is_told_why_irsa_will_not_work,
        what_is_not_a_pod_of_a_cluster_is_left_alone;
    tenants:
        immunity_33_another_accounts_cluster_does_not_exist_for_any_method;
    service_accounts:
        first_lists_come_as_one_batch_and_a_relist_repeats_nothing,
        one_that_is_out_of_form_holds_nothing_back,
        they_are_listed_page_by_page,
        a_cluster_has_no_more_than_the_limit,
        a_service_account_made_anew_is_another_one,
        a_spoke_writes_its_own_cluster_alone,
        a_watcher_that_lost_its_lease_pushes_nothing,
        a_signature_seen_again_gets_the_first_answer;
    issuers:
        a_token_is_verified_by_the_keys_that_were_pushed_and_by_no_older_ones,
        the_same_again_is_no_change_and_a_bad_one_leaves_what_was,
        the_name_that_every_cluster_has_is_kept_and_marked,
        immunity_49_one_issuer_and_one_key_are_one_clusters,
        immunity_49_of_two_who_push_one_key_at_once_one_has_it,
        immunity_37_a_cluster_that_is_gone_has_no_issuer;
    vending:
        a_pod_gets_a_session_of_its_associations_role,
        credentials_live_six_hours_where_the_role_lets_them,
        tags_are_left_out_and_a_policy_narrows_where_the_association_says_so,
        a_target_role_is_a_second_hop_of_59_minutes,
        the_target_roles_external_id_is_the_associations,
        a_target_role_that_does_not_trust_or_is_not_there_is_told,
        the_same_pod_gets_what_it_has_and_another_pod_never_does,
        immunity_28_one_namespaces_burst_starves_no_other,
        a_rotation_of_the_issuers_keys_cuts_nobody_off,
        while_an_issuer_changes_its_name_tokens_of_both_vend,
        without_an_issuer_there_is_no_answer,
        immunity_48_who_signs_vends_as_the_node_that_is_bound_to_their_key;
    attacks:
        immunity_10_a_token_is_of_the_clusters_own_issuer_for_pod_identity_and_now,
        immunity_10_a_token_that_was_verified_is_good_no_longer_than_its_time_and_its_key,
        immunity_10_a_subject_is_one_service_accounts_and_a_name_no_pattern,
        immunity_48_a_pods_token_is_good_on_its_own_node_alone,
        immunity_48_a_pod_that_its_api_server_refuses_gets_nothing_more,
        immunity_20_what_is_vended_in_the_second_of_a_revocation_would_be_dead_and_is_not_given,
        immunity_21_a_service_account_made_anew_is_another_one,
        immunity_11_a_role_has_to_trust_pod_identity_for_this_cluster_now,
        immunity_36_an_association_that_is_gone_or_made_anew_vends_anew,
        immunity_37_a_cluster_of_the_same_name_takes_no_token_of_the_one_before,
        a_chain_of_more_than_one_hop_is_refused,
        a_name_of_a_node_without_end_is_refused;
}
