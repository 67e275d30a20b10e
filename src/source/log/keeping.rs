//! What one keeps a log by: what it holds, what it takes, and how it is emptied.

use fjall::PersistMode;

use super::{Log, LogError, Shared, read_topic};

impl Log {
    /// Empties it: all topics are gone, and made anew by [`Log::topic`]. To be called before that.
    pub fn clear(&mut self) -> Result<(), LogError> {
        let Shared { database, records, meta, .. } = &*self.shared;
        let mut batch = database.batch().durability(Some(PersistMode::SyncAll));
        for entry in meta.prefix("topic/") {
            batch.remove(meta, entry.key()?);
        }
        // Without its topic no block is ever read: what a cut leaves of them only takes room.
        batch.commit()?;
        records.clear()?;
        database.persist(PersistMode::SyncAll)?;
        Ok(())
    }

    /// The names of all topics that it holds, and how many records are in each, read or not.
    pub fn holds(&self) -> Result<Vec<(String, u64)>, LogError> {
        let mut all = Vec::new();
        for entry in self.shared.meta.prefix("topic/") {
            let (key, value) = entry.into_inner()?;
            let name = String::from_utf8_lossy(&key["topic/".len()..]).into_owned();
            let (identity, partitions) = read_topic(&name, &String::from_utf8_lossy(&value))?;
            let mut count = 0;
            for partition in 0..partitions {
                count += self.shared.end(identity, partition)?.map_or(0, |(end, _)| end);
            }
            all.push((name, count));
        }
        Ok(all)
    }

    /// Bytes that it takes on the disk, journals included; and those that are free there.
    pub fn disk(&self) -> Result<(u64, u64), LogError> {
        let available = self.shared.available()?;
        Ok((self.shared.database.disk_space()?, available))
    }
}
