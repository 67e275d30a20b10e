//! Invented names of people, so that a published demo names nobody.

const GIVEN: [&str; 64] = [
    "Ada", "Akira", "Amara", "Anouk", "Arun", "Astrid", "Bao", "Beatriz", "Bruno", "Callum", "Carmen", "Chidi",
    "Clara", "Dalia", "Daniel", "Devi", "Dmitri", "Elena", "Elias", "Emeka", "Farah", "Felix", "Fiona", "Gita",
    "Goran", "Hana", "Hugo", "Ines", "Ivan", "Jamal", "Jin", "Joana", "Kai", "Karin", "Kofi", "Laila", "Leo", "Lin",
    "Lucas", "Maeve", "Marek", "Mei", "Mina", "Nadia", "Nikhil", "Noor", "Olga", "Omar", "Paloma", "Pavel", "Priya",
    "Rafael", "Rosa", "Samir", "Sana", "Sven", "Tara", "Thabo", "Tomas", "Uma", "Vera", "Wei", "Yara", "Zoe",
];

const FAMILY: [&str; 64] = [
    "Abebe",
    "Alder",
    "Anand",
    "Ashdown",
    "Banerji",
    "Bellweather",
    "Birch",
    "Bose",
    "Calloway",
    "Castell",
    "Chua",
    "Coronel",
    "Dahl",
    "Delacroix",
    "Diallo",
    "Dunmore",
    "Ekström",
    "Esposti",
    "Fairweather",
    "Faulk",
    "Ferreyra",
    "Gallo",
    "Ghosh",
    "Greenhill",
    "Hadad",
    "Halloran",
    "Haruki",
    "Holm",
    "Ibarra",
    "Iyer",
    "Jansen",
    "Kaplan",
    "Kestrel",
    "Kowal",
    "Lachlan",
    "Lindqvist",
    "Lowell",
    "Mbeki",
    "Merrow",
    "Montel",
    "Nakano",
    "Novotny",
    "Oduya",
    "Okafor",
    "Orlova",
    "Palmgren",
    "Pereira",
    "Quill",
    "Rahim",
    "Rivera",
    "Rossi",
    "Saito",
    "Salgado",
    "Sorensen",
    "Tamm",
    "Thorne",
    "Umar",
    "Vance",
    "Varga",
    "Whitlock",
    "Wong",
    "Yamane",
    "Zamora",
    "Zeller",
];

/// The invented name of the person with this id: the same in every run, and nothing of the real one.
pub fn invented(id: &str) -> String {
    // FNV-1a, then a shift so that the low bits, which choose, depend on every byte. The standard library's
    // hashes promise no equality from one release to the next.
    let hash = id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = hash ^ (hash >> 29);
    let given = GIVEN[(mixed % 64) as usize];
    let family = FAMILY[(mixed / 64 % 64) as usize];
    format!("{given} {family}")
}
