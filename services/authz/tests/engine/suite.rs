//! What the three traits promise, a function for each promise, for any implementation, on each store.

mod authorize;
mod decisions;
mod objects;
mod tenants;

/// Instantiates every promise for one form.
macro_rules! suite {
    ($form:ident: $($module:ident { $($promise:ident,)+ })+) => {
        mod $form {
            $(mod $module {
                $(
                    lanyard_store::on_each_store!($promise: database => {
                        let stage = crate::stage::Stage::new(database).await;
                        let form = crate::form::$form(&stage);
                        crate::suite::$module::$promise(&stage, &form).await;
                    });
                )+
            })+
        }
    };
    ($($form:ident),+; $promises:tt) => {
        $(suite!(@ $form $promises);)+
    };
    (@ $form:ident { $($promises:tt)+ }) => {
        suite!($form: $($promises)+);
    };
}

suite!(engine, grpc; {
    authorize {
        what_nothing_allows_is_no_opinion,
        a_proof_gives_the_access_policies_of_its_entry,
        an_answer_is_explained_where_that_is_asked,
        immunity_16_what_has_ended_does_not_count,
        immunity_17_a_new_grant_counts_at_the_next_review,
        immunity_25_a_revocation_is_one_revision_and_seen_by_the_next_review,
        immunity_36_a_pods_association_made_a_moment_ago_is_not_taken_for_one_that_is_gone,
        immunity_37_a_cluster_made_anew_takes_no_proof_of_the_old_one,
        immunity_40_nobody_impersonates_the_proof,
        immunity_42_a_block_denies_at_the_next_review_until_it_is_lifted,
        immunity_59_an_oversized_review_with_a_proof_is_denied,
        immunity_60_a_lost_group_denies_and_a_gained_one_does_not,
        a_deactivated_key_denies_at_the_next_review,
        a_batch_answers_in_order_what_single_reviews_answer,
        a_batch_as_the_wire_has_it_is_answered_like_any_other,
        a_users_rules_and_those_who_can_are_listed,
    }
    objects {
        what_is_applied_counts_at_the_next_review,
        an_apply_says_what_it_did_and_the_same_again_does_nothing,
        replacing_removes_what_is_not_given,
        a_binding_keeps_its_role,
        a_bad_document_is_refused_whole_with_its_place,
        an_object_is_deleted_once,
        objects_are_listed_page_by_page,
        a_spoke_has_its_own_objects_alone,
        immunity_28_a_spoke_that_floods_changes_is_told_to_come_again,
        a_signature_seen_again_gets_the_first_answer,
        of_a_partial_batch_one_bad_object_holds_nothing_back,
        a_watcher_that_lost_its_lease_writes_nothing,
    }
    decisions {
        what_was_recorded_is_found,
        one_that_is_still_on_its_way_is_waited_for,
        immunity_58_a_decision_of_another_account_does_not_exist,
        a_spoke_finds_no_decision,
        a_decision_of_a_deleted_cluster_is_not_found,
        an_overlong_text_is_cut,
        a_watch_tells_that_something_changed_until_the_cluster_is_gone,
    }
    tenants {
        immunity_33_another_accounts_cluster_does_not_exist_for_any_method,
    }
});
