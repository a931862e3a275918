"""What measures: one script per question, each printing one table."""
