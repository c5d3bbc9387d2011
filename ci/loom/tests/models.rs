//! One test a model.
//!
//! The models live in a library that is not compiled for tests, so that the unit tests of the modelled
//! files, which want real threads, stay out of it.

macro_rules! models {
    ($($file:ident: $($model:ident)*;)*) => {$(
        mod $file {$(
            #[test]
            fn $model() {
                ringloop_loom::models::$file::$model();
            }
        )*}
    )*};
}

models! {
    mail:
        a_wake_is_not_slept_over
        a_letter_is_not_slept_over
        a_ring_for_an_earlier_sleep_does_not_lose_a_letter
        a_wake_during_collect_is_not_lost
        a_wake_and_a_letter_are_not_slept_over
        wakes_of_one_word_coalesce_and_no_bit_is_lost
        a_wake_that_finds_its_bit_set_is_not_lost;
    close:
        a_letter_never_reaches_a_later_incarnation
        a_late_ring_does_not_cost_the_next_runtime_a_letter
        a_letter_that_posts_when_it_is_dropped_finds_no_lock_held
        posters_and_a_close_do_not_hang_each_other;
    home:
        no_home_has_two_tenants
        a_full_table_is_an_error_and_not_for_ever
        a_late_wake_is_spurious_to_the_next_tenant
        a_wake_of_the_root_is_not_lost;
    remote:
        a_result_that_is_sent_during_a_poll_wakes
        the_waker_of_the_last_poll_is_woken
        a_sender_that_is_dropped_unsent_says_cancelled
        a_blocking_join_does_not_hang
        a_handle_that_is_dropped_detaches;
}
