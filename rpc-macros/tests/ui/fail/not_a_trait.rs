#![allow(unused)]

use rpc_core::service;

#[service]
pub struct Arith;

mod implementation {
    trait Arith {}

    #[rpc_core::service]
    impl Arith for () {}
}

fn main() {}
