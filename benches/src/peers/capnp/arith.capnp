@0xd3f1a6c7b2e84950;

# The calls of src/contract.rs. arith_capnp.rs is made of it, by capnpc's CompilerCommand with
# `default_parent_module` of `peers` and `capnp`.
interface Arith {
  multiply @0 (a :Int64, b :Int64) -> (product :Int64);
  echo @1 (body :Data) -> (body :Data);
  wait @2 ();
}
