//! How is a path matched to a pool? By the longest prefix that was configured.

use crate::config::RouteEntry;

/// Path prefixes, each leading to a pool's position. What no prefix takes goes to the first pool.
#[derive(Debug, Default)]
pub struct Table {
    /// Longest first, so that the first match is the right one.
    rows: Vec<(Box<str>, usize)>,
}

impl Table {
    /// Compiles routes; `position` gives a pool's place. Names were checked before.
    #[must_use]
    pub fn new(routes: &[RouteEntry], position: impl Fn(&str) -> Option<usize>) -> Self {
        let mut rows: Vec<(Box<str>, usize)> = routes
            .iter()
            .filter_map(|route| Some((route.path.as_str().into(), position(&route.pool)?)))
            .collect();
        rows.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        Self { rows }
    }

    /// The pool for a path as it came: nothing is decoded, merged or folded, so that a route means
    /// the same bytes to us as to the daemon.
    #[must_use]
    pub fn find(&self, path: &str) -> usize {
        self.rows
            .iter()
            .find(|(prefix, _)| path.starts_with(&**prefix))
            .map_or(0, |&(_, pool)| pool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_wins_and_the_rest_goes_to_the_first_pool() {
        let route = |path: &str, pool: &str| RouteEntry {
            path: path.into(),
            pool: pool.into(),
        };
        let routes = [route("/e/", "hooks"), route("/e/vip", "vip")];
        let table = Table::new(&routes, |name| {
            ["main", "hooks", "vip"]
                .iter()
                .position(|&pool| pool == name)
        });
        assert_eq!(table.find("/e/abc/x"), 1);
        assert_eq!(table.find("/e/vip/x"), 2);
        assert_eq!(table.find("/plugin/t/dispatch/llm/invoke"), 0);
        assert_eq!(table.find("/E/abc"), 0, "paths are bytes");
    }
}
