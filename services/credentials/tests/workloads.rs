//! What [`lanyard_api::credentials::Workloads`] and [`lanyard_api::credentials::Associations`] promise, a function for each promise, of the engine and of the engine behind
//! gRPC, on each store.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends where it fails")]

#[path = "workloads/associations.rs"]
mod associations;
#[path = "workloads/aws_road.rs"]
mod aws_road;
#[path = "workloads/bench.rs"]
mod bench;
#[path = "workloads/issuers.rs"]
mod issuers;
#[path = "workloads/service_accounts.rs"]
mod service_accounts;

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
        immunity_33_an_association_of_another_account_does_not_exist,
        immunity_37_a_cluster_that_is_gone_takes_its_associations_along,
        an_association_is_tagged_by_its_arn,
        a_signed_request_seen_again_makes_no_second_one;
    service_accounts:
        first_lists_come_as_one_batch_and_a_relist_repeats_nothing,
        one_that_is_out_of_form_holds_nothing_back,
        they_are_listed_page_by_page,
        a_cluster_has_no_more_than_the_limit,
        a_service_account_made_anew_is_another_one,
        immunity_33_a_cluster_of_another_account_does_not_exist,
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
}
