-- Values as any writer of Redis may have left them: read as what they should be, or as nothing. A key of ours that holds
-- another type is set aside, so that it stops no script: `arq:set-aside:<key>` keeps it for a week, `arq:set-aside` counts.
--
-- Included by the other scripts.
--
-- writes arq:set-aside, arq:set-aside:<key>
local SET_ASIDE_LIFE_S = 604800
local LONGEST_NUMBER = 20

-- A whole number from 0 to `most`, or nil for whatever else was written there.
local function whole(value, most)
  local number = type(value) == 'string' and #value <= LONGEST_NUMBER and tonumber(value)
  if not number or number ~= math.floor(number) or number < 0 or number > (most or 2 ^ 53) then
    return nil
  end
  return number
end

-- The text under a key; nil if there is none, or if the key holds another type.
local function text_of(key)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and value or nil
end

local function is_error(answer)
  return type(answer) == 'table' and answer.err ~= nil
end

local function is_wrong_type(answer)
  return is_error(answer) and string.find(answer.err, 'WRONGTYPE', 1, true) ~= nil
end

-- Beyond so many keys they are counted together.
local MOST_NAMED = 1000

local function note_set_aside(key)
  local named = redis.pcall('HLEN', 'arq:set-aside')
  if is_error(named) then
    redis.call('DEL', 'arq:set-aside')
  elseif named >= MOST_NAMED and redis.call('HEXISTS', 'arq:set-aside', key) == 0 then
    key = 'others'
  end
  if is_error(redis.pcall('HINCRBY', 'arq:set-aside', key, 1)) then
    redis.call('HSET', 'arq:set-aside', key, 1)
  end
end

local function set_aside(key)
  redis.call('RENAME', key, 'arq:set-aside:' .. key)
  redis.call('EXPIRE', 'arq:set-aside:' .. key, SET_ASIDE_LIFE_S)
  note_set_aside(key)
end

-- Run a command on a key of ours, after another type that stands there was set aside. Returns the answer, or the error.
local function run(command, key, ...)
  local answer = redis.pcall(command, key, ...)
  if is_wrong_type(answer) then
    set_aside(key)
    answer = redis.pcall(command, key, ...)
  end
  return answer
end

-- Add to a field that counts; one that holds no number begins anew.
local function count(key, field, by)
  local answer = run('HINCRBY', key, field, by)
  if is_error(answer) then
    redis.pcall('HDEL', key, field)
    answer = redis.pcall('HINCRBY', key, field, by)
  end
  return answer
end
