-- The end of a call that no other request names, as Exotel sends it. `wrk … URL -- TAG`: a tag for each run.
local tag, number, now = "", 0, ""

function init(args)
  tag = args[1]
  -- India's clock.
  now = os.date("!%Y-%m-%d+%H%%3A%M%%3A%S", os.time() + 19800)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
end

function request()
  number = number + 1
  local body = string.format(
    "CallSid=%s%020x&EventType=terminal&DateCreated=%s&DateUpdated=%s&Status=completed&To=09900000001"
      .. "&From=09900000091&PhoneNumberSid=08000000011&StartTime=%s&EndTime=%s&Direction=outbound-api"
      .. "&ConversationDuration=52&Legs%%5B0%%5D%%5BOnCallDuration%%5D=71&Legs%%5B0%%5D%%5BStatus%%5D=completed"
      .. "&Legs%%5B1%%5D%%5BOnCallDuration%%5D=52&Legs%%5B1%%5D%%5BStatus%%5D=completed",
    tag, number, now, now, now, now)
  return wrk.format(nil, nil, nil, body)
end
