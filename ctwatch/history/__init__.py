"""The past: what the detections would have fired on, and the standing questions.

    sources ─ bytes of log files ──> records ─ only what may match is decoded whole ─┐
    (folder, lookup, bucket)             ▲                                           ▼
                                       sieve <── what is asked: `Question`s ──> matched, tallied
                                                        │                            ▲
                                                        └─ as SQL ─> Athena ─ rows ──┘

What is asked is data: an event pattern, and small conditions where a pattern cannot say it. So one
and the same object is answered by the engine here and, as SQL, by Athena, whose rows the engine
here is asked about again: SQL may let through too many, and never too few. A detection is such a
question, too.

Nothing here prints.
"""
