"""The function that AWS Lambda runs: an event comes in, a message reaches people, or it raises.

    main        the handler: take apart, render, send, log, raise at the end
    event       what came in -> Event, whatever shape it has
    changes     what a call changed, and what follows from it
    detections  which detections of the catalogue an event belongs to
    severity    how bad it is
    message     Event -> Message, the verdict first, in the words of one language
    words       the one table of words
    discord, slack, teams, webhook, sns
                Message -> one kind of channel
    plain       Message -> text, one fact a line
    post        one HTTP POST, and no word of its URL in any error
    inert       a stranger's text made harmless
    shapes      values out of a record, of whatever type
    aws         the door to SSM and SNS
    settings    environment -> Settings; where the secrets are
    errors      what it raises

It imports nothing of ctwatch and nothing outside the standard library but the runtime's botocore
(and that only when a secret lies in SSM or a channel is SNS). In the function's zip it stands as
`notifier/`.
"""
