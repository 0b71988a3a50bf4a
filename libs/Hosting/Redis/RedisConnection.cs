using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Hosting.Telemetry;
using StackExchange.Redis;

namespace MultiAgent.Hosting.Redis;

/// <summary>
/// The process's connection to Redis, and the one opinion on whether it can be used. One call that fails or takes too long takes Redis out of
/// use for everybody, so that a slow server costs one request its patience and not each; a probe every half second finds out when it is back.
/// </summary>
internal sealed partial class RedisConnection : BackgroundService
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(500);

    private readonly RedisOptions _options;
    private readonly TimeSpan _patience;
    private readonly TimeProvider _time;
    private readonly ILogger<RedisConnection> _logger;
    private readonly Lock _lock = new();
    private ConnectionMultiplexer? _multiplexer;
    private volatile bool _up;
    private bool _told;
    private volatile bool _refused;

    public RedisConnection(IOptions<RedisOptions> options, TimeProvider time, ILogger<RedisConnection> logger)
    {
        (_options, _time, _logger) = (options.Value, time, logger);
        _patience = TimeSpan.FromMilliseconds(_options.PatienceMilliseconds);
        PlatformTelemetry.Meter.CreateObservableGauge("redis.connected", () => _up ? 1 : 0, null, "1 while Redis is in use, 0 while the process goes by its own limits");
    }

    /// <summary>Whether Redis can be used now.</summary>
    public bool IsUp => _up;

    /// <summary>How long the last probe took; null before the first answer.</summary>
    public TimeSpan? Latency { get; private set; }

    /// <summary>Why Redis is not in use; holds no secret.</summary>
    public string? Trouble { get; private set; } = "not connected yet";

    /// <summary>Raised when Redis is in use (again): what was said meanwhile was not heard.</summary>
    public event Action? Returned;

    /// <summary>Only while <see cref="IsUp"/>.</summary>
    public IDatabase Database => Multiplexer.GetDatabase();

    public ConnectionMultiplexer Multiplexer => _multiplexer ?? throw new RedisConnectionException(ConnectionFailureType.UnableToConnect, "Redis is not connected yet.");

    /// <summary>A name with the installation's prefix. The braces keep the keys of one thing on one node of a cluster.</summary>
    public RedisKey Key(string kind, string name) => $"{_options.Prefix}:{kind}:{{{name}}}";

    public RedisChannel Channel(string name) => RedisChannel.Literal($"{_options.Prefix}:{name}");

    /// <summary>Runs a command; null when Redis is gone, refuses, or takes longer than a request should wait.</summary>
    public async ValueTask<T?> TryAsync<T>(Func<IDatabase, Task<T>> command) where T : class
    {
        if (!_up) return null;
        try
        {
            return await command(Database).WaitAsync(_patience, _time);
        }
        catch (Exception e) when (e is RedisException or TimeoutException or OperationCanceledException or ObjectDisposedException)
        {
            // Commands of a connection that is given up are cancelled.
            Lose(e);
            return null;
        }
    }

    /// <summary>Runs a command that nobody waits for.</summary>
    public void Tell(Func<IDatabase, Task> command) => _ = TryAsync(async db =>
    {
        await command(db);
        return this;
    }).AsTask();

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // The first probe goes at once: a service that starts beside a healthy Redis uses it from its first request on.
        await ProbeAsync();
        using var timer = new PeriodicTimer(Pace, _time);
        while (await timer.WaitForNextTickAsync(stoppingToken)) await ProbeAsync();
    }

    public override void Dispose()
    {
        base.Dispose();
        _multiplexer?.Dispose();
    }

    private async Task ProbeAsync()
    {
        try
        {
            _multiplexer ??= await ConnectAsync();
            long started = _time.GetTimestamp();
            // A write that nobody reads: a replica, or a server without memory, answers pings and serves nothing.
            await _multiplexer.GetDatabase().StringSetAsync($"{_options.Prefix}:probe", 1, TimeSpan.FromMinutes(1)).WaitAsync(_patience, _time);
            Latency = _time.GetElapsedTime(started);
            lock (_lock)
            {
                if (_up) return;
                (_up, _told, _refused, Trouble) = (true, false, false, null);
            }
            LogConnected();
            Returned?.Invoke();
        }
        catch (Exception e)
        {
            // Whatever it is: without the probe Redis would stay as it is now, and its end would stop the process.
            Lose(e);
        }
    }

    private async Task<ConnectionMultiplexer> ConnectAsync()
    {
        ConnectionMultiplexer multiplexer = await ConnectionMultiplexer.ConnectAsync(_options.ToConfiguration());
        multiplexer.ConnectionFailed += (_, e) =>
        {
            _refused = e.FailureType == ConnectionFailureType.AuthenticationFailure || IsRefusal(e.Exception);
        };
        return multiplexer;
    }

    private static bool IsRefusal(Exception? e) =>
        e is not null && (e.Message.Contains("WRONGPASS", StringComparison.Ordinal) || e.Message.Contains("NOAUTH", StringComparison.Ordinal) || IsRefusal(e.InnerException));

    private void Lose(Exception e)
    {
        lock (_lock)
        {
            Trouble = e switch
            {
                TimeoutException or RedisTimeoutException when !_refused => $"no answer within {_options.PatienceMilliseconds} ms",
                _ when _refused || IsRefusal(e) => "Redis refuses the user or the password",
                RedisServerException server => $"Redis says {server.Message.Split(' ')[0]}",
                _ => "no connection",
            };
            _up = false;
            if (_told) return;
            _told = true;
        }
        LogLost(Trouble);
    }

    [LoggerMessage(EventId = 1, EventName = "RedisConnected", Level = LogLevel.Information, Message = "Redis is in use")]
    private partial void LogConnected();

    [LoggerMessage(EventId = 2, EventName = "RedisLost", Level = LogLevel.Warning, Message = "Redis is not in use ({Reason}); until it is back each process goes by its own limits")]
    private partial void LogLost(string? reason);
}
