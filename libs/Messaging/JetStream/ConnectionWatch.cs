using Microsoft.Extensions.Logging;
using NATS.Client.Core;

namespace MultiAgent.Messaging.JetStream;

/// <summary>
/// Knows whether the connection to NATS really works. One that counts as open and does not answer, because a network swallows what is sent or the
/// client's own sender got stuck, is made anew. Whoever waits for messages takes its session and begins again when it ends: what
/// the server was asked for on the old connection may never come.
/// </summary>
internal sealed partial class ConnectionWatch : IAsyncDisposable
{
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(2);

    private readonly NatsConnection _connection;
    private readonly TimeSpan _patience;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private TaskCompletionSource _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private CancellationTokenSource _session = new();
    private Task? _watching;

    /// <param name="connection">The connection.</param>
    /// <param name="patience">How long an answer may take.</param>
    /// <param name="logger">Hears of each connection and each loss.</param>
    public ConnectionWatch(NatsConnection connection, TimeSpan patience, ILogger logger)
    {
        (_connection, _patience, _logger) = (connection, patience, logger);
        connection.ConnectionOpened += (_, _) =>
        {
            LogConnected(logger);
            Opened();
            return default;
        };
        connection.ConnectionDisconnected += (_, _) =>
        {
            LogLost(logger);
            Lost();
            return default;
        };
    }

    /// <summary>Waits until there is a connection; the token ends with it.</summary>
    public async Task<CancellationToken> SessionAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            Task opened;
            lock (_lock)
            {
                if (_opened.Task.IsCompleted) return _session.Token;
                opened = _opened.Task;
            }
            await opened.WaitAsync(cancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        if (_watching is not null) await _watching;
        _stop.Dispose();
    }

    private void Opened()
    {
        lock (_lock)
        {
            _opened.TrySetResult();
            _watching ??= WatchAsync();
        }
    }

    private void Lost()
    {
        CancellationTokenSource ended;
        lock (_lock)
        {
            if (_opened.Task.IsCompleted) _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
            (ended, _session) = (_session, new CancellationTokenSource());
        }
        // Not on the client's own thread, which has a connection to make.
        _ = ended.CancelAsync();
    }

    private async Task WatchAsync()
    {
        try
        {
            while (true)
            {
                await Task.Delay(Beat, _stop.Token);
                if (_connection.ConnectionState != NatsConnectionState.Open || await AnswersAsync()) continue;
                LogSilent(_logger, _patience.TotalSeconds);
                await _connection.ReconnectAsync();
            }
        }
        catch (OperationCanceledException)
        {
            // The process stops.
        }
    }

    private async Task<bool> AnswersAsync()
    {
        try
        {
            // Waited for from outside: the command itself may be what hangs.
            await _connection.PingAsync(_stop.Token).AsTask().WaitAsync(_patience, _stop.Token);
            return true;
        }
        catch (Exception e) when (e is TimeoutException or NatsException or ObjectDisposedException || (e is OperationCanceledException && !_stop.IsCancellationRequested))
        {
            // One that was lost meanwhile is being made anew already.
            return _connection.ConnectionState != NatsConnectionState.Open;
        }
    }

    [LoggerMessage(EventId = 1, EventName = "NatsConnected", Level = LogLevel.Information, Message = "Connected to NATS")]
    private static partial void LogConnected(ILogger logger);

    [LoggerMessage(EventId = 2, EventName = "NatsLost", Level = LogLevel.Warning, Message = "The connection to NATS is lost; events wait here until it is back")]
    private static partial void LogLost(ILogger logger);

    [LoggerMessage(EventId = 3, EventName = "NatsSilent", Level = LogLevel.Warning, Message = "NATS has not answered for {Seconds} s on an open connection; connecting anew")]
    private static partial void LogSilent(ILogger logger, double seconds);
}
