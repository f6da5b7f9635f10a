"""The one table of words: every text of ours that a person reads, in Korean and English."""

LANGUAGES = ("ko", "en")

_TABLE = {
    # what happened
    "event.StopLogging": ("CloudTrail 로깅 중지", "Stop CloudTrail logging"),
    "event.DeleteTrail": ("CloudTrail 추적 삭제", "Delete a CloudTrail trail"),
    "event.UpdateTrail": ("CloudTrail 추적 설정 변경", "Change a CloudTrail trail"),
    "event.PutEventSelectors": ("CloudTrail 이벤트 선택기 변경", "Change what CloudTrail records"),
    "unreadable": ("읽을 수 없는 이벤트", "Unreadable event"),
    # how it went
    "succeeded": ("성공", "SUCCEEDED"),
    "failed": ("실패한 시도", "FAILED ATTEMPT"),
    "denied": ("거부된 시도", "DENIED ATTEMPT"),
    "drill": ("훈련", "DRILL"),
    "synthetic": ("SYNTHETIC 모의", "SYNTHETIC"),
    "insight_start": ("시작", "STARTED"),
    "insight_end": ("끝남", "ENDED"),
    # how bad
    "low": ("낮음", "low"),
    "medium": ("보통", "medium"),
    "high": ("높음", "high"),
    "critical": ("심각", "critical"),
    # labels
    "event": ("이벤트", "Event"),
    "result": ("결과", "Result"),
    "severity": ("심각도", "Severity"),
    "trail": ("추적", "Trail"),
    "target": ("대상", "Target"),
    "changes": ("변경", "Changes"),
    "detection": ("탐지", "Detection"),
    "link": ("AWS 콘솔에서 보기", "See it in the AWS console"),
    "requested": ("요청 내용", "Requested"),
    "actor": ("행위자", "Actor"),
    "identity": ("자격 증명", "Identity"),
    "mfa": ("MFA", "MFA"),
    "ip": ("소스 IP", "Source IP"),
    "agent": ("사용자 에이전트", "User agent"),
    "time": ("발생 시각", "Time"),
    "region": ("리전", "Region"),
    "account": ("계정", "Account"),
    "mitre": ("MITRE ATT&CK", "MITRE ATT&CK"),
    "event_id": ("이벤트 ID", "Event ID"),
    "request_id": ("요청 ID", "Request ID"),
    "reason": ("이유", "Reason"),
    "excerpt": ("받은 내용(일부)", "What arrived (excerpt)"),
    # values
    "none": ("기록 없음", "not recorded"),
    "no_code": ("오류 코드 없음", "no error code"),
    "ours": ("우리 추적", "ours"),
    "not_ours": ("우리 추적 아님", "not ours"),
    "ours_unknown": ("우리 추적인지 알 수 없음", "cannot tell whether ours"),
    "yes": ("사용함", "yes"),
    "no": ("사용 안 함", "no"),
    "service": ("AWS 서비스", "an AWS service"),
    "issued_by": ("발급자", "issued by"),
    "of_account": ("계정", "of account"),
    "empty": ("비어 있음", "empty"),
    "no_json": ("JSON이 아닙니다.", "It is not JSON."),
    "no_record": ("CloudTrail 기록이 들어 있지 않습니다.", "There is no CloudTrail record in it."),
    "nothing": ("없음", "nothing"),
    "hidden": ("없는 사용자 이름이라 AWS가 숨김", "no such user; AWS hides what was typed"),
    "identity_of_object": (
        "S3 알림은 요청한 계정만 말합니다.",
        "S3's notification names the requester's account alone.",
    ),
    # what changed
    "change.bucket": ("로그 버킷", "Log bucket"),
    "change.prefix": ("로그 접두사", "Log prefix"),
    "change.multi_region": ("다중 리전", "Multi-region"),
    "change.global_events": ("글로벌 서비스 이벤트", "Global service events"),
    "change.validation": ("로그 파일 검증", "Log file validation"),
    "change.key": ("암호화 키", "Encryption key"),
    "change.log_group": ("CloudWatch 로그 그룹", "CloudWatch log group"),
    "change.topic": ("전송 알림 주제", "Delivery notification topic"),
    "change.organization": ("조직 추적", "Organization trail"),
    "change.concurrency": ("예약된 동시 실행 수", "Reserved concurrency"),
    "change.state": ("규칙 상태", "Rule state"),
    "change.pattern": ("이벤트 패턴", "Event pattern"),
    "change.retention": ("보존 기간(일)", "Retention (days)"),
    "change.versioning": ("버전 관리", "Versioning"),
    "change.open_to": ("허용할 출발지", "Let in"),
    "change.call_rate": ("분당 호출 수", "Calls a minute"),
    "change.error_rate": ("분당 오류 수", "Errors a minute"),
    "change.deletion": ("삭제 방식", "How it was deleted"),
    # types of userIdentity
    "identity.Root": ("루트 사용자", "the root user"),
    "identity.IAMUser": ("IAM 사용자", "an IAM user"),
    "identity.AssumedRole": ("역할 세션", "a role session"),
    "identity.Role": ("IAM 역할", "an IAM role"),
    "identity.FederatedUser": ("페더레이션 사용자", "a federated user"),
    "identity.Directory": ("디렉터리 서비스", "a directory service"),
    "identity.AWSAccount": ("다른 AWS 계정", "another AWS account"),
    "identity.AWSService": ("AWS 서비스", "an AWS service"),
    "identity.IdentityCenterUser": ("IAM Identity Center 사용자", "an IAM Identity Center user"),
    "identity.SAMLUser": ("SAML 사용자", "a SAML user"),
    "identity.WebIdentityUser": ("웹 자격 증명 사용자", "a web identity user"),
    "identity.Unknown": ("CloudTrail이 알 수 없는 유형", "a type CloudTrail cannot tell"),
    # notes under the title
    "note_drill": (
        "훈련입니다: 존재하지 않는 추적에 대한 호출이 실패했고, 바뀐 것은 없습니다.",
        "A drill: a call on a trail that does not exist has failed, and nothing was changed.",
    ),
    "note_drill_target": (
        "훈련입니다: 존재하지 않는 대상에 대한 호출이 실패했고, 바뀐 것은 없습니다.",
        "A drill: a call on something that does not exist has failed, and nothing was changed.",
    ),
    "note_synthetic": (
        "모의 이벤트라는 표시가 있습니다: AWS에서 일어난 일이 아니라 ctwatch의 시험입니다.",
        "It is marked as made up: nothing happened in AWS, ctwatch is being tested.",
    ),
    "note_attempt": (
        "이 호출은 성공하지 못했습니다. 누가 왜 시도했는지 확인하세요.",
        "This call did not succeed. Find out who tried, and why.",
    ),
    # what follows from it: severity.CONSEQUENCES
    "note_blinds": (
        "이 추적은 이제 쓰기 이벤트를 기록하지 않습니다. 다음 변조는 경보되지 않을 수 있습니다.",
        "This trail no longer records write events: the next tampering may raise no alert.",
    ),
    "note_moves_bucket": (
        "로그가 이제 다른 버킷으로 갑니다.",
        "The logs now go to another bucket.",
    ),
    "note_single_region": (
        "이 추적은 이제 한 리전만 기록합니다. 다른 리전의 일과 루트 로그인이 보이지 않습니다.",
        "This trail now records one region alone: other regions and root logins are out of sight.",
    ),
    "note_no_global_events": (
        "IAM, STS, 루트 로그인 같은 글로벌 서비스 이벤트가 이제 기록되지 않습니다.",
        "Global service events such as IAM, STS and root logins are no longer recorded.",
    ),
    "note_no_validation": (
        "로그 파일 검증이 꺼졌습니다. 로그를 고쳐도 드러나지 않습니다.",
        "Log file validation is off: a log that is altered will not show it.",
    ),
    "note_changes_key": (
        "로그를 암호화하는 키가 바뀌었습니다. 로그를 계속 읽을 수 있는지 확인하세요.",
        "The key that encrypts the logs was changed. Check that they can still be read.",
    ),
    "note_drops_log_group": (
        "추적이 원래의 CloudWatch 로그 그룹으로 더는 전송하지 않아 그 로그를 보는 경보가 멈춥니다.",
        "The trail no longer delivers to its log group: alarms that read it fall silent.",
    ),
    "note_drops_topic": (
        "추적이 새 로그 파일을 더 이상 원래의 주제에 알리지 않습니다.",
        "The trail no longer tells its topic of new log files: who waits for that waits in vain.",
    ),
    "note_no_organization": (
        "조직 추적이 아니게 되었습니다. 다른 계정의 일이 기록되지 않습니다.",
        "It is no longer an organization's trail: other accounts are not recorded.",
    ),
    "note_suspends_versioning": (
        "버전 관리가 멈췄습니다. 덮어쓰거나 지운 로그를 되찾을 수 없습니다.",
        "Versioning is suspended: a log overwritten or deleted cannot be had back.",
    ),
    "note_silences_rule": (
        "이 규칙은 이제 아무에게도 알리지 않습니다.",
        "This rule tells nobody any more.",
    ),
    "note_throttles": (
        "이 함수는 이제 실행되지 않습니다. 이 함수로 가는 경보는 도착하지 않습니다.",
        "This function will not run any more: alerts that go through it will not arrive.",
    ),
    "note_stops_detector": (
        "GuardDuty가 꺼졌습니다.",
        "GuardDuty is switched off.",
    ),
    "note_opens_to_world": (
        "인터넷 전체에 열렸습니다.",
        "It is open to the whole internet.",
    ),
    "note_lost_for_good": (
        "로그 파일의 버전이 영구히 삭제되었습니다.",
        "A version of a log file is gone for good.",
    ),
    "note_without_mfa": (
        "루트 사용자가 MFA 없이 로그인했습니다.",
        "The root user signed in without MFA.",
    ),
    "note_omitted": (
        "요청 내용이 너무 커서 기록에서 빠졌습니다. 무엇이 바뀌었는지 직접 확인하세요.",
        "What was asked for was too large to be recorded. Look up yourself what has changed.",
    ),
    "note_account": (
        "이 감시의 계정이 아닌 다른 계정의 이벤트입니다. 위조되었을 수 있습니다.",
        "This event is of another account than this watch's. It may be forged.",
    ),
    "note_unreadable": (
        "감시 경로로 들어왔지만 읽을 수 없습니다. 내용을 믿지 말고 누가 보냈는지 확인하세요.",
        "It came by the watch's own path. Do not trust what it says; find out who sent it.",
    ),
}


def words(language: str) -> dict[str, str]:
    """The words of one of LANGUAGES."""
    column = LANGUAGES.index(language)
    return {key: row[column] for key, row in _TABLE.items()}
