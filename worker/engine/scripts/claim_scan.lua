-- Going through what is due: what dead workers held first, then each queue from its head.
--
-- Included by claim.lua, after claim_pauses.lua and claim_holding.lua.
--
-- reads  the queues, arq:leases:<queue>
-- writes arq:leases:<queue>: who is found there and is no orphan is struck from it
local SCAN_LIMIT = 5000

-- Take what dead workers held of one queue, and return how many slots are left. What is found not to be an orphan is
-- struck from the list: somebody ended it, put it back, or holds it without being on the list (a stock worker).
local function take_orphans(number, quota)
  local queue, leases = KEYS[number], 'arq:leases:' .. KEYS[number]
  if quota == 0 or bytes >= bytes_limit or paused['queue:' .. queue] then
    return quota
  end
  local ids, scores = {}, {}
  repeat
    local others = {}
    for _, id in ipairs(redis.pcall('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, PAGE)) do
      local score = #ids < quota and redis.pcall('ZSCORE', queue, id)
      if type(score) == 'string' and is_parked(score) and tonumber(score) <= now and not shelve(queue, id, score) and lock(id) then
        ids[#ids + 1] = id
        scores[#scores + 1] = score
      elseif #ids < quota then
        others[#others + 1] = id
      end
    end
    if #others > 0 then
      redis.call('ZREM', leases, unpack(others))
    end
    put_on_shelves(queue)
  until #others < PAGE
  return quota - #ids + take(number, ids, scores)
end

-- Take the first job in quarantine, also one that was put off until a worker is empty.
local function take_one_alone()
  local until_ms = now + PUT_OFF_MS + 1
  for number, queue in ipairs(KEYS) do
    local held = paused['queue:' .. queue] and {}
      or redis.pcall('ZRANGEBYSCORE', 'arq:leases:' .. queue, '-inf', until_ms, 'LIMIT', 0, PAGE)
    for _, id in ipairs(held) do
      local score = redis.pcall('ZSCORE', queue, id)
      local crashes = type(score) == 'string' and is_parked(score) and tonumber(score) <= until_ms and crashes_of(queue, id, score)
      if crashes and is_in_quarantine(crashes) and not shelve(queue, id, score) and lock(id) then
        take(number, { id }, { score })
        return
      end
    end
    put_on_shelves(queue)
  end
end

-- Where each queue's scan stands, and whether it found the end of what is due.
local offset, ended, orphans_first = {}, {}, false
local broken = {}

local function take_from(number, quota)
  local queue = KEYS[number]
  if paused['queue:' .. queue] then
    ended[number] = true
  end
  while quota > 0 and bytes < bytes_limit and shelved_now < SHELVE_LIMIT and not ended[number] do
    local at = offset[number] or 0
    local asked = #paused_functions > 0 and PAGE or math.min(PAGE, quota + 8)
    local page = redis.pcall('ZRANGEBYSCORE', queue, '-inf', now, 'WITHSCORES', 'LIMIT', at, asked)
    if (#page > 2 * quota or #page == 2 * asked) and not orphans_first then
      -- More is due than can be taken. Otherwise the orphans, which are due too, are in the page.
      orphans_first = true
      for each = 1, #KEYS do
        quota = take_orphans(each, quota)
      end
    end
    if is_wrong_type(page) then
      broken[#broken + 1] = queue
    end
    if page.err or #page == 0 or at > SCAN_LIMIT then
      ended[number] = true
      break
    end
    local ids, scores, seen, moved_before = {}, {}, 0, shelved_now + put_off_now
    for i = 1, #page, 2 do
      if #ids == quota then
        break
      end
      seen = seen + 1
      if not shelve(queue, page[i], page[i + 1]) and lock(page[i]) then
        ids[#ids + 1] = page[i]
        scores[#scores + 1] = page[i + 1]
      end
    end
    put_on_shelves(queue)
    quota = quota - #ids + take(number, ids, scores)
    ended[number] = #page < 2 * asked and seen == #page / 2 and bytes < bytes_limit
    offset[number] = at + seen - (shelved_now + put_off_now - moved_before)
  end
  return quota
end
