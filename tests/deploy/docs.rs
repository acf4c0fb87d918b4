//! What the documents say: every configuration in them is one, and every link leads somewhere.

use super::root;
use super::support::page::documents;
use twolane::config;
use twolane::server::known;

/// What the environment says where a document names a variable.
fn env(name: &str) -> Option<String> {
    let value = match name {
        "REDIS_URL" => "redis://redis:6379/0",
        "TWOLANE_ADMIN_TOKEN" => "a token",
        "SERVICE_KEY" => "app-of-the-service",
        _ => return None,
    };
    Some(value.to_owned())
}

/// The blocks of a language in a page.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let begin = format!("```{language}\n");
    let mut found = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find(&begin) {
        rest = &rest[at + begin.len()..];
        let end = rest.find("```").unwrap_or(rest.len());
        found.push(&rest[..end]);
        rest = &rest[end..];
    }
    found
}

/// A piece of a configuration may leave out where the nodes are.
fn whole(block: &str) -> String {
    let says = |key: &str| block.lines().any(|line| line.starts_with(key));
    if says("nodes:") || says("pools:") || says("discover:") {
        block.to_owned()
    } else {
        format!("nodes: [10.0.0.11:5002, 10.0.0.12:5002]\n{block}")
    }
}

#[test]
fn every_configuration_in_a_document_is_accepted() {
    let mut seen = 0;
    for page in documents(root()) {
        let text = std::fs::read_to_string(root().join(&page)).unwrap();
        for block in blocks(&text, "yaml") {
            let loaded = config::load(&whole(block), &page, &known(), &env);
            if let Err(problems) = loaded {
                panic!("{page}:\n{problems}\n{block}");
            }
            seen += 1;
        }
    }
    assert!(seen > 5, "only {seen} were seen");
}

#[test]
fn every_link_in_a_document_leads_to_a_file() {
    let mut seen = 0;
    for page in documents(root()) {
        let place = root().join(&page);
        let text = std::fs::read_to_string(&place).unwrap();
        let links = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (file, _) = link.split_once('#').unwrap_or((link, ""));
            if !file.is_empty() {
                let target = place.parent().unwrap().join(file);
                assert!(target.exists(), "{page} leads to {link}");
                seen += 1;
            }
        }
    }
    assert!(seen > 30, "only {seen} were seen");
}

/// What a page says to programs: its commands without their comments, its settings, its words in code,
/// where its links lead, and how it is divided.
fn said_to_programs(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(page)).unwrap();
    let mut said = Vec::new();
    for (at, part) in text.split("```").enumerate() {
        let lines = part.lines().map(str::trim_end);
        if at % 2 == 1 && !part.starts_with('\n') {
            let bare = lines.map(|line| line.split('#').next().unwrap_or_default().trim_end());
            said.extend(bare.filter(|line| !line.is_empty()).map(str::to_owned));
        } else if at % 2 == 0 {
            let headings = lines.filter(|line| line.starts_with('#'));
            said.extend(headings.map(|line| line.chars().take_while(|one| *one == '#').collect()));
            let links = part.split("](").skip(1);
            let links = links.filter_map(|rest| rest.split(')').next());
            let mut inline: Vec<_> = part.split('`').skip(1).step_by(2).chain(links).collect();
            // The order of words within a paragraph is a language's own.
            inline.sort_unstable();
            said.extend(inline.into_iter().map(str::to_owned));
        }
    }
    said
}

#[test]
fn both_languages_say_the_same() {
    let ours = said_to_programs("README.md");
    let theirs = said_to_programs("README.zh-CN.md");
    assert!(ours.len() > 200, "only {} were seen", ours.len());
    let swap = |word: &String| word.replace("README.zh-CN.md", "README.md");
    let (ours, theirs): (Vec<_>, Vec<_>) = (
        ours.iter().map(swap).collect(),
        theirs.iter().map(swap).collect(),
    );
    for (one, other) in ours.iter().zip(&theirs) {
        assert_eq!(one, other, "README.md and README.zh-CN.md");
    }
    assert_eq!(ours.len(), theirs.len());
}
