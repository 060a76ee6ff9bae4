use memory_store::MemoryStore;
use store_contract::{Violation, check};

#[test]
fn keeps_the_contract() -> Result<(), Violation> {
    check(&[MemoryStore::default()])
}
