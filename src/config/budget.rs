//! x
impl super::Config {
    /// x
    pub fn budget_report(&self) -> String {
        String::new()
    }
}
