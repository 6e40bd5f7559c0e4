"""Files that come with LoRun: colour tables, icons, samples, help pages. SOURCES.md says where each is from."""
