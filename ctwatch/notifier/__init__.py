"""The function that AWS Lambda runs: an event comes in, a message reaches people, or it raises.

    main      the handler: take apart, render, send, log, raise at the end
    event     what came in -> Event, whatever shape it has
    message   Event -> Message, the verdict first, in the words of one language
    words     the one table of words
    severity  how bad it is
    discord   Message -> Discord
    settings  environment -> Settings; where the secrets are
    errors    what it raises

It imports nothing of ctwatch and nothing outside the standard library but the runtime's boto3
(and that only when a secret lies in SSM). In the function's zip it stands as `notifier/`.
"""
