-- Shelves: where the jobs of a paused function wait, out of everybody's way, until it is resumed.
--
-- Included by claim.lua and give_back.lua, after typed.lua. A shelf is a band of scores in the queue itself, beyond any date: a job's score
-- is its old score and the beginning of its shelf. So it is due for nobody, and the score alone says where it belongs.
--
-- reads  arq:job:<id>          the name of the function, near the beginning of the body
-- writes arq:shelves:<queue>   function → the number of its shelf, for as long as there may be a job on it
--        the queue
local SHELVES = 50
local SHELVES_FROM_MS = 1e15
local SHELF_WIDTH_MS = 4e13
local SHELF_PAGE = 500

local function is_shelved(score)
  return tonumber(score) >= SHELVES_FROM_MS and tonumber(score) < SHELVES_FROM_MS + SHELVES * SHELF_WIDTH_MS
end

-- The score that a job had before it was put on a shelf. A parked score keeps its half.
local function unshelved(score)
  return string.format('%.1f', (tonumber(score) - SHELVES_FROM_MS) % SHELF_WIDTH_MS)
end

-- The beginning of a function's shelf, made if it has none; nil if all are in use.
local function shelf_of(queue, name)
  local key = 'arq:shelves:' .. queue
  local number = whole(redis.pcall('HGET', key, name), SHELVES - 1)
  local used = {}
  for _, taken in ipairs(number and {} or redis.pcall('HVALS', key)) do
    used[whole(taken, SHELVES - 1) or SHELVES] = true
  end
  for free = 0, number and -1 or SHELVES - 1 do
    if not used[free] then
      run('HSET', key, name, free)
      number = free
      break
    end
  end
  return number and SHELVES_FROM_MS + number * SHELF_WIDTH_MS or nil
end

local function shelved_score(shelf, score)
  return string.format('%.1f', shelf + math.min(math.max(tonumber(score), 0), SHELF_WIDTH_MS - 1))
end

-- Put jobs whose function is paused no longer back to their old places, the oldest first, a page of each shelf a call.
-- Returns whether any shelf is in use.
local function clear_shelves(queue, is_paused)
  local key = 'arq:shelves:' .. queue
  local shelves = redis.pcall('HGETALL', key)
  for i = 1, #shelves, 2 do
    local number = whole(shelves[i + 1], SHELVES - 1)
    if not number then
      redis.call('HDEL', key, shelves[i])
      note_set_aside(key)
    elseif not is_paused(shelves[i]) then
      local from = SHELVES_FROM_MS + number * SHELF_WIDTH_MS
      local beyond = string.format('(%.0f', from + SHELF_WIDTH_MS)
      local page = redis.pcall('ZRANGEBYSCORE', queue, from, beyond, 'WITHSCORES', 'LIMIT', 0, SHELF_PAGE)
      local places = {}
      for n = 1, #page, 2 do
        places[n], places[n + 1] = unshelved(page[n + 1]), page[n]
      end
      if #places > 0 then
        redis.call('ZADD', queue, unpack(places))
      end
      if not is_error(page) and #page < 2 * SHELF_PAGE then
        redis.call('HDEL', key, shelves[i])
      end
    end
  end
  return #shelves > 0
end

-- The name of a job's function, if its body begins as Arq and our client write it: in JSON, pickle or msgpack.
local function function_of(id)
  local head = redis.pcall('GETRANGE', 'arq:job:' .. id, 0, 255)
  if type(head) ~= 'string' then
    return nil
  end
  local first = string.byte(head)
  if first == 123 then
    return string.match(head, '^{%s*"t":%s*%w+,%s*"f":%s*"([^"\\]+)"')
  end
  -- One byte of length and the name, behind the key "f".
  local pickled = first == 128 and string.find(head, '\140\1f\148\140', 1, true)
  if pickled then
    return string.sub(head, pickled + 6, pickled + 5 + (string.byte(head, pickled + 5) or 0))
  end
  local packed = first == 133 and string.find(head, '\161f[\160-\191]')
  return packed and string.sub(head, packed + 3, packed + 2 + string.byte(head, packed + 2) - 160) or nil
end
