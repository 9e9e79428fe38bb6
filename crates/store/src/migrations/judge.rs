//! What a database has against what this program knows.

use sqlx::migrate::{self, Migrator};

use super::Migration;
use crate::error::StoreError;

/// A migration that a database has.
#[derive(Debug, Clone)]
pub(super) struct Applied {
    pub(super) migration: Migration,
    pub(super) checksum: Vec<u8>,
    /// Whether it was applied to its end.
    pub(super) is_whole: bool,
}

pub(super) fn of(migration: &migrate::Migration) -> Migration {
    Migration { version: migration.version, name: migration.description.to_string() }
}

/// What the database lacks, in order.
///
/// # Errors
/// Where it has what this program does not know, or has otherwise.
pub(super) fn missing(
    applied: &[Applied],
    migrator: &'static Migrator,
) -> Result<Vec<&'static migrate::Migration>, StoreError> {
    for Applied { migration, checksum, is_whole } in applied {
        let Some(known) = migrator.iter().find(|known| known.version == migration.version) else {
            let newest = migrator.iter().max().map(of);
            return Err(StoreError::Newer { found: migration.clone(), newest });
        };
        if *known.checksum != **checksum {
            return Err(StoreError::Altered(migration.clone()));
        }
        if !is_whole {
            return Err(StoreError::Broken(format!("migration {migration} was begun and not finished")));
        }
    }
    let has = |version| applied.iter().any(|applied| applied.migration.version == version);
    Ok(migrator.iter().filter(|known| !has(known.version)).collect())
}

#[cfg(test)]
mod tests {
    use super::super::{POSTGRES, SQLITE};
    use super::*;

    fn all(migrator: &Migrator) -> Vec<Applied> {
        let applied = |known: &migrate::Migration| Applied {
            migration: of(known),
            checksum: known.checksum.to_vec(),
            is_whole: true,
        };
        migrator.iter().map(applied).collect()
    }

    fn missing_of(applied: &[Applied], migrator: &'static Migrator) -> Result<Vec<i64>, String> {
        let missing = missing(applied, migrator).map_err(|error| error.to_string())?;
        Ok(missing.into_iter().map(|known| known.version).collect())
    }

    #[test]
    fn what_is_not_applied_is_missing_wherever_its_number_stands() {
        for migrator in [&SQLITE, &POSTGRES] {
            let all = all(migrator);
            let versions: Vec<i64> = all.iter().map(|applied| applied.migration.version).collect();
            assert_eq!(missing_of(&[], migrator).unwrap(), versions);
            assert_eq!(missing_of(&all, migrator).unwrap(), [0; 0]);
            assert_eq!(missing_of(&all[1..], migrator).unwrap(), versions[..1]);
        }
    }

    #[test]
    fn a_database_of_another_program_is_refused_by_the_name_of_what_differs() {
        let with = |change: &dyn Fn(&mut Vec<Applied>)| {
            let mut applied = all(&POSTGRES);
            change(&mut applied);
            missing_of(&applied, &POSTGRES).unwrap_err()
        };
        let newer = Migration { version: 9999, name: "from tomorrow".to_owned() };
        let newer =
            with(&|all| all.push(Applied { migration: newer.clone(), checksum: vec![], is_whole: true }));
        assert!(newer.contains("`9999 from tomorrow`") && newer.contains("newer lanyard"), "{newer}");
        let altered = with(&|all| all[0].checksum.reverse());
        assert!(altered.contains("`0001 changes`"), "{altered}");
        let half = with(&|all| all[0].is_whole = false);
        assert!(half.contains("0001 changes was begun"), "{half}");
    }
}
