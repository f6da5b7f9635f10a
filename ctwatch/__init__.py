"""ctwatch: told within minutes that someone has touched your CloudTrail, and able to prove it."""
