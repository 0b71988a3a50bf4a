using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;

namespace MultiAgent.Orchestrator.Tools.Sources.Mcp;

/// <summary>Connections to MCP servers: one per source, made when it is needed and closed when nobody has used it for a while.</summary>
internal sealed partial class McpConnections : IAsyncDisposable
{
    private const int MaxAnswerBytes = 8 * 1024 * 1024;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    // The newest revision with a handshake.
    private const string WithHandshake = "2025-11-25";

    private readonly ConcurrentDictionary<string, Entry> _bySource = new(StringComparer.Ordinal);
    private readonly SourceHttp _http;
    private readonly McpOptions _options;
    private readonly TimeProvider _time;
    private readonly ILoggerFactory _loggers;
    private readonly ILogger<McpConnections> _logger;
    private readonly ITimer _pruning;

    public McpConnections(SourceHttp http, IOptions<McpOptions> options, TimeProvider time, ILoggerFactory loggers)
    {
        _http = http;
        _options = options.Value;
        _time = time;
        _loggers = loggers;
        _logger = loggers.CreateLogger<McpConnections>();
        TimeSpan idle = TimeSpan.FromSeconds(_options.IdleSeconds);
        _pruning = time.CreateTimer(_ => Prune(idle), null, idle / 4, idle / 4);
    }

    /// <summary>Sources whose server said that its tools have changed.</summary>
    public Channel<ToolSource> Changed { get; } = Channel.CreateBounded<ToolSource>(new BoundedChannelOptions(1000) { FullMode = BoundedChannelFullMode.DropOldest });

    /// <summary>Does something with a source's connection. One that turns out to be broken is closed; one whose session the server has forgotten is made anew, once.</summary>
    /// <exception cref="ToolException">The server cannot be reached, or refused.</exception>
    public async Task<T> UseAsync<T>(ToolSource source, Func<McpClient, CancellationToken, Task<T>> use, CancellationToken cancellationToken)
    {
        for (bool again = false; ; again = true)
        {
            Entry entry = Get(source);
            try
            {
                McpClient client = await entry.Client.Value.WaitAsync(cancellationToken);
                entry.Used = _time.GetTimestamp();
                return await use(client, cancellationToken);
            }
            catch (HttpRequestException e) when (!again && e.StatusCode is System.Net.HttpStatusCode.NotFound)
            {
                // By the protocol it means that the session is gone: nothing was done.
                Drop(source.Id, entry);
            }
            catch (ModelContextProtocol.McpException e)
            {
                if (entry.Client.Value.IsFaulted) Drop(source.Id, entry);
                throw new ToolException($"'{source.Slug}' refused: {e.Message}");
            }
            catch (Exception e) when (e is not ToolException && (e is not OperationCanceledException || !cancellationToken.IsCancellationRequested))
            {
                Drop(source.Id, entry);
                LogBroken(e, source.Slug, source.TenantId);
                bool refused = SourceHttp.IsRefused(e) || e is HttpRequestException { StatusCode: { } status } && (int)status < 500;
                string why = e is HttpRequestException { StatusCode: { } code } ? $"It answered HTTP {(int)code}." : SourceHttp.Explain(e);
                throw new ToolException($"'{source.Slug}' cannot be used: {why}") { IsTransient = !refused };
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _pruning.DisposeAsync();
        foreach ((string id, Entry entry) in _bySource) Drop(id, entry);
        await Task.WhenAll(_closing.Values);
    }

    private readonly ConcurrentDictionary<Entry, Task> _closing = new();

    private Entry Get(ToolSource source)
    {
        if (_bySource.TryGetValue(source.Id, out Entry? entry))
        {
            bool over = entry.Client.IsValueCreated && (entry.Client.Value.IsFaulted || (entry.Client.Value.IsCompletedSuccessfully && entry.Client.Value.Result.Completion.IsCompleted));
            if (entry.Configuration == source.Configuration && !over) return entry;
            Drop(source.Id, entry);
        }
        while (_bySource.Count >= _options.MaxConnections && _bySource.MinBy(e => e.Value.Used) is { Value: not null } oldest) Drop(oldest.Key, oldest.Value);
        return _bySource.GetOrAdd(source.Id, _ => new Entry(source.Configuration, new Lazy<Task<McpClient>>(() => ConnectAsync(source))) { Used = _time.GetTimestamp() });
    }

    private async Task<McpClient> ConnectAsync(ToolSource source)
    {
        using var limit = new CancellationTokenSource(Patience, _time);
        var options = new McpClientOptions
        {
            ClientInfo = new Implementation { Name = "maap", Version = typeof(McpConnections).Assembly.GetName().Version?.ToString(3) ?? "0" },
            InitializationTimeout = Patience,
            Handlers = new McpClientHandlers
            {
                NotificationHandlers = [new(NotificationMethods.ToolListChangedNotification, (_, _) =>
                {
                    Changed.Writer.TryWrite(source);
                    return ValueTask.CompletedTask;
                })],
            },
        };
        try
        {
            return await McpClient.CreateAsync(Transport(source), options, _loggers, limit.Token);
        }
        catch (System.Text.Json.JsonException)
        {
            // Asked what it speaks, a server of an older revision may answer with nothing rather than refuse.
            options.ProtocolVersion = WithHandshake;
            return await McpClient.CreateAsync(Transport(source), options, _loggers, limit.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested)
        {
            throw new TimeoutException($"No connection within {Patience.TotalSeconds} s.");
        }
    }

    private IClientTransport Transport(ToolSource source)
    {
        if (source.Command is { } command)
        {
            return new StdioClientTransport(new StdioClientTransportOptions
            {
                Name = source.Slug,
                Command = command.Command,
                Arguments = [.. command.Arguments],
                // What is passed on of the platform's environment are paths and the like, never its secrets.
                InheritEnvironmentVariables = false,
                EnvironmentVariables = StdioClientTransportOptions.GetDefaultEnvironmentVariables().Concat(command.Environment.Select(e => KeyValuePair.Create(e.Key, (string?)e.Value))).GroupBy(e => e.Key).ToDictionary(e => e.Key, e => e.Last().Value),
            }, _loggers);
        }
        var home = new Uri(source.Spec.Mcp!.Url!);
        return new HttpClientTransport(new HttpClientTransportOptions { Endpoint = home, Name = source.Slug, TransportMode = HttpTransportMode.StreamableHttp, ConnectionTimeout = Patience },
            _http.Client(source, home, MaxAnswerBytes), _loggers, ownsHttpClient: true);
    }

    private void Prune(TimeSpan idle)
    {
        foreach ((string id, Entry entry) in _bySource)
            if (_time.GetElapsedTime(entry.Used) > idle) Drop(id, entry);
    }

    private void Drop(string sourceId, Entry entry)
    {
        if (!_bySource.TryRemove(new KeyValuePair<string, Entry>(sourceId, entry)) || !entry.Client.IsValueCreated) return;
        _closing[entry] = CloseAsync(entry);
    }

    private async Task CloseAsync(Entry entry)
    {
        await Task.Yield();
        try
        {
            await (await entry.Client.Value).DisposeAsync();
        }
        catch (Exception)
        {
            // It never was one, or its server is gone: either way there is nothing left to close.
        }
        finally
        {
            _closing.TryRemove(entry, out _);
        }
    }

    private sealed class Entry(string configuration, Lazy<Task<McpClient>> client)
    {
        public string Configuration => configuration;

        public Lazy<Task<McpClient>> Client => client;

        public long Used { get; set; }
    }

    [LoggerMessage(EventId = 1, EventName = "McpConnectionBroken", Level = LogLevel.Warning, Message = "The connection to MCP server {Source} of tenant {TenantId} is broken")]
    private partial void LogBroken(Exception e, string source, string tenantId);
}
