using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts.Events;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;

namespace MultiAgent.Messaging.JetStream;

/// <summary>
/// The process's connection to NATS, and the two streams that the platform keeps there. They are made, or brought to these settings, before
/// the first use; every replica may do so, since the result is the same. Only what NATS 2.9 knows is used.
/// </summary>
internal sealed class JetStreamConnection : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    // De-duplication looks back so far; beyond, consumers are idempotent by themselves.
    private static readonly TimeSpan DuplicateWindow = TimeSpan.FromMinutes(2);

    private readonly JetStreamOptions _options;
    private readonly NatsConnection _connection;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private volatile bool _ready;

    public JetStreamConnection(IOptions<JetStreamOptions> options, ILoggerFactory loggers)
    {
        _options = options.Value;
        _connection = new NatsConnection(new NatsOpts
        {
            Url = _options.Url!,
            Name = "maap",
            LoggerFactory = loggers,
            AuthOpts = new NatsAuthOpts { Username = _options.User, Password = _options.Password, NKeyFile = _options.NKeyFile, CredsFile = _options.CredentialsFile },
            TlsOpts = new NatsTlsOpts
            {
                Mode = _options.Url!.Contains("tls://", StringComparison.OrdinalIgnoreCase) || _options.CaFile is not null ? TlsMode.Require : TlsMode.Auto,
                CaFile = _options.CaFile,
                CertFile = _options.CertificateFile,
                KeyFile = _options.KeyFile,
            },
            HeaderEncoding = System.Text.Encoding.UTF8,
            ConnectTimeout = Patience,
            RequestTimeout = Patience,
            CommandTimeout = Patience,
            PublishTimeoutOnDisconnected = true,
            ReconnectWaitMin = TimeSpan.FromMilliseconds(100),
            ReconnectWaitMax = TimeSpan.FromSeconds(2),
            SubPendingChannelCapacity = 4096,
            SubPendingChannelFullMode = System.Threading.Channels.BoundedChannelFullMode.Wait,
        });
        Context = new NatsJSContext(_connection);
        Watch = new ConnectionWatch(_connection, Patience, loggers.CreateLogger<JetStreamConnection>());
    }

    public NatsJSContext Context { get; }

    public NatsConnection Nats => _connection;

    public ConnectionWatch Watch { get; }

    /// <summary>Stream of the events.</summary>
    public string Events => $"{_options.Prefix}-events";

    /// <summary>Stream of the dead letters.</summary>
    public string DeadLetters => $"{_options.Prefix}-dead-letters";

    /// <summary>Where an event goes: <c>prefix.event.partition.subject</c>, so that a consumer may ask for one partition.</summary>
    public string SubjectOf(EventEnvelope e) => $"{_options.Prefix}.event.{Partition.Of(e.OrderingKey ?? e.Id)}.{e.Subject}";

    /// <summary>What a consumer asks for; without a partition, for all of them.</summary>
    public string FilterOf(string filter, int? partition) => $"{_options.Prefix}.event.{partition?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "*"}.{filter}";

    public string DeadLetterSubject(string consumer) => $"{_options.Prefix}.dead.{consumer}";

    /// <summary>Connected, and the streams are there.</summary>
    /// <exception cref="NatsException">The server cannot be reached, or refuses.</exception>
    public async ValueTask<NatsJSContext> ReadyAsync(CancellationToken cancellationToken)
    {
        if (_ready) return Context;
        await _turn.WaitAsync(cancellationToken);
        try
        {
            if (_ready) return Context;
            await _connection.ConnectAsync().AsTask().WaitAsync(Patience, cancellationToken);
            await EnsureAsync(new StreamConfig(Events, [$"{_options.Prefix}.event.>"])
            {
                Description = "Events of the Multi-AI-Agent Platform",
                Retention = StreamConfigRetention.Limits,
                Storage = StreamConfigStorage.File,
                MaxAge = TimeSpan.FromHours(_options.MaxAgeHours),
                DuplicateWindow = DuplicateWindow,
                NumReplicas = _options.Replicas,
            }, cancellationToken);
            await EnsureAsync(new StreamConfig(DeadLetters, [$"{_options.Prefix}.dead.>"])
            {
                Description = "Events that a consumer of the Multi-AI-Agent Platform gave up on",
                Retention = StreamConfigRetention.Limits,
                Storage = StreamConfigStorage.File,
                DuplicateWindow = DuplicateWindow,
                NumReplicas = _options.Replicas,
            }, cancellationToken);
            _ready = true;
            return Context;
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>A stream is missing: somebody deleted it, or the server lost its store. The next use makes it again.</summary>
    public void Forget() => _ready = false;

    public async ValueTask DisposeAsync()
    {
        await Watch.DisposeAsync();
        await _connection.DisposeAsync();
    }

    private async Task EnsureAsync(StreamConfig asked, CancellationToken cancellationToken)
    {
        INatsJSStream stream = await Context.CreateOrUpdateStreamAsync(asked, cancellationToken);
        StreamConfig got = stream.Info.Config;
        // A server ignores settings that it does not know, without a word.
        if (got.NumReplicas != asked.NumReplicas || got.MaxAge != asked.MaxAge || got.DuplicateWindow != asked.DuplicateWindow || got.Storage != asked.Storage)
            throw new NatsException($"The NATS server did not take the settings of the stream '{asked.Name}'.");
    }
}
