"""Queues of other systems (SQS, Kafka) behind one small interface. It knows neither engine nor store."""
