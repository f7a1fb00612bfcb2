"""What every operation of SageMaker shares: the table of operations, constraints, members, lists, tags, records."""
