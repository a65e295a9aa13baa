// The parameters, judged by nextflow_schema.json: the only place where their text becomes numbers and switches.

// name -> its entry in the schema, with the title of its group, in the order of the schema.
def readSchema(path) {
    def schema = new groovy.json.JsonSlurper().parse(path.toFile())
    return schema['$defs'].values().collectEntries { group ->
        group.properties.collectEntries { name, entry -> [(name): entry + [group: group.title]] }
    }
}

def helpText(Map schema) {
    def width = schema.keySet().collect { name -> name.length() }.max()
    def blocks = schema.groupBy { _name, entry -> entry.group }.collect { title, entries ->
        def lines = entries.collect { name, entry ->
            def notes = []
            if (entry['enum']) {
                notes << entry['enum'].join(' | ')
            }
            if (entry['x-items']) {
                notes << entry['x-items'].join(', ')
            }
            if (entry['default'] != null && entry['default'] != '') {
                notes << "default ${entry['default']}".toString()
            }
            "  --${name.padRight(width)}  ${entry.description}${notes ? ' [' + notes.join('; ') + ']' : ''}"
        }
        ([title] + lines).join('\n')
    }
    return """\
WSSAMNet: registration of brain MRI before and after tumour surgery, with ANTs and VoxelMorph beside it

  nextflow run main.nf -profile test                       a tiny cohort of its own, in minutes
  nextflow run main.nf -profile demo                       the embedded cohort
  nextflow run main.nf --input COHORT --outdir OUT         BraTSReg or BIDS folders, or a samplesheet CSV
  nextflow run main.nf -params-file params.yml -resume     go on with what is there

${blocks.join('\n\n')}
"""
}

def distance(String a, String b) {
    def first = (0..b.length()).toList()
    return a.toList().inject(first) { row, letter ->
        b.toList().withIndex().inject([row[0] + 1]) { next, pair ->
            def (other, n) = pair
            next + [[next[n] + 1, row[n + 1] + 1, row[n] + (letter == other ? 0 : 1)].min()]
        }
    }.last()
}

def plain(String name) {
    return name.replaceAll(/[-_]/, '').toLowerCase()
}

def nearest(String name, Collection<String> known) {
    def best = known.min { other -> distance(plain(name), plain(other)) }
    return distance(plain(name), plain(best)) <= Math.max(2, name.length().intdiv(3)) ? best : null
}

def refused(name, text, Map entry, right) {
    return [null, "--${name}: '${text}' is not allowed (${right}; ${entry.description})".toString()]
}

// [value, problem]: the value in the type of the schema, or what is wrong with it.
def coerced(name, value, Map entry) {
    def text = value instanceof Collection ? value.join(',') : value.toString().trim()
    def range = [entry.minimum != null ? "at least ${entry.minimum}" : null,
        entry.exclusiveMinimum != null ? "above ${entry.exclusiveMinimum}" : null,
        entry.maximum != null ? "at most ${entry.maximum}" : null,
        entry.exclusiveMaximum != null ? "below ${entry.exclusiveMaximum}" : null].findAll().join(', ')
    if (entry.type == 'boolean') {
        return text in ['true', 'false'] ? [text.toBoolean(), null] : refused(name, text, entry, 'true or false')
    }
    if (entry.type in ['integer', 'number']) {
        def kind = entry.type == 'integer' ? 'a whole number' : 'a number'
        def shape = entry.type == 'integer' ? /[-+]?\d+/ : /[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?/
        if (!(text ==~ shape)) {
            return refused(name, text, entry, [kind, range].findAll().join(', '))
        }
        def number = new BigDecimal(text)
        if (entry.type == 'integer' && number.abs() > Integer.MAX_VALUE) {
            return refused(name, text, entry, "${kind} below 2147483648")
        }
        def outside = (entry.minimum != null && number < entry.minimum) || (entry.maximum != null && number > entry.maximum) ||
            (entry.exclusiveMinimum != null && number <= entry.exclusiveMinimum) ||
            (entry.exclusiveMaximum != null && number >= entry.exclusiveMaximum)
        return outside ? refused(name, text, entry, "${kind}, ${range}") : [entry.type == 'integer' ? number.intValueExact() : number.doubleValue(), null]
    }
    if (value instanceof Boolean) {
        return [null, "--${name}: a value is missing (${entry.description})".toString()]
    }
    if (entry['enum'] && !(text in entry['enum'])) {
        return refused(name, text, entry, "one of ${entry['enum'].join(', ')}")
    }
    def strange = entry['x-items'] ? text.tokenize(',').collect { item -> item.trim() }.findAll { item -> !(item in entry['x-items']) } : []
    if (strange) {
        return refused(name, text, entry, "a list of ${entry['x-items'].join(', ')}, with commas")
    }
    if (entry.pattern && !(text ==~ entry.pattern)) {
        return refused(name, text, entry, entry['x-form'] ?: entry.pattern)
    }
    return [text, null]
}

// The names in NAME=VALUE,NAME=VALUE, or in a list of such.
def namesIn(value) {
    def text = value instanceof Collection ? value.join(',') : (value ?: '').toString()
    return text.tokenize(',').collect { word -> word.tokenize('=')[0].trim() }
}

// Stops before any work. Nextflow has begun its trace by then: an output folder with nothing else goes again.
def refuse(String message, outdir) {
    def out = new File(outdir.toString())
    [new File(out, 'pipeline_info/trace.txt'), new File(out, 'pipeline_info'), out].each { path -> path.delete() }
    error(message)
}

// An image that the engine cannot find, or would look for on the internet.
def imageProblem(image, engine) {
    if (!(engine in ['apptainer', 'singularity', 'charliecloud'])) {
        return null
    }
    if (image == 'wssamnet:latest') {
        return "--container: ${engine} needs an image of its own (--container /shared/wssamnet.sif, or a folder for Charliecloud; docs/cluster.md says how to build it)"
    }
    return image.startsWith('/') && !file(image, glob: false).exists() ? "--container: ${image} does not exist (an image for ${engine})" : null
}

// The value that holds: what the user set, the preset's, the default.
def inForce(name, Map values, Map schema) {
    def preset = values.preset ?: schema.preset['default']
    return [values[name], schema[name]["x-${preset}".toString()], schema[name]['default']].find { value -> value != null }
}

// Settings that the networks and losses refuse together (wssamnet/settings.py): a training would say so hours later.
def settingProblems(Map values, Map schema) {
    def problems = []
    if (inForce('lncc_window', values, schema) % 2 == 0) {
        problems << "--lncc_window: '${values.lncc_window}' is not allowed (an odd number)".toString()
    }
    if (inForce('pyramid', values, schema) && inForce('levels', values, schema) - (inForce('head', values, schema) == 'half' ? 1 : 0) < 2) {
        problems << "--pyramid: 'true' is not allowed (--levels of at least 3 with the half head: it lacks one)".toString()
    }
    return problems
}

// GPUs that would stand idle, or that the pairs of a step cannot be shared out to.
def deviceProblems(Map values, Map schema) {
    def gpus = values.gpus_per_training
    if (values.placement == 'three_devices') {
        return gpus in [1, 3] ? [] : ["--gpus_per_training: '${gpus}' is not allowed (three_devices takes three; leave it out)".toString()]
    }
    return inForce('batch_size', values, schema) >= gpus ? [] :
        ["--gpus_per_training: '${gpus}' is not allowed (give --batch_size too, at least ${gpus}: the GPUs share the pairs of a step)".toString()]
}

// What was typed for a parameter whose word Nextflow has turned into a number: 007 is an id, not 7.
def typed(name, value, Map entry, String commandLine) {
    if (!(entry.type == 'string' && value instanceof Number)) {
        return value
    }
    def words = commandLine.tokenize(' ').collect { word -> word.replaceAll(/^['"]|['"]$/, '') }
    def place = words.findLastIndexOf { word -> word == "--${name}" || word.startsWith("--${name}=") }
    def word = place < 0 ? '' : words[place].contains('=') ? words[place].split('=', 2)[1] : place + 1 < words.size() ? words[place + 1] : ''
    return word ?: value
}

// Every parameter in its own type, null where it is not set. Stops with all problems at once.
def checkedParameters(Map given, Map schema, String commandLine) {
    def strangers = given.keySet().findAll { name -> !(name in schema) }
    def problems = strangers.collect { name ->
        def near = nearest(name, schema.keySet())
        "--${name}: no such parameter (${near ? 'did you mean --' + near + '?' : 'see --help'})".toString()
    }
    def values = schema.collectEntries { name, entry ->
        def value = typed(name, given[name], entry, commandLine)
        // The configuration files know Nextflow's number alone.
        if (value.toString() != given[name].toString() && !(name in ['test_cases', 'sessions', 'report_title'])) {
            problems << "--${name}: Nextflow makes ${given[name]} of '${value}' (in quotes in a -params-file it stays a word)".toString()
        }
        if (value == null || value == '') {
            return [(name): null]
        }
        def named = (entry['x-named-by'] ?: []).collectMany { other -> namesIn(given[other]) }
        def (right, problem) = coerced(name, value, named ? entry + ['x-items': entry['x-items'] + named] : entry)
        if (problem) {
            problems << problem
        }
        [(name): right]
    }
    problems.addAll(problems ? [] : deviceProblems(values, schema) + settingProblems(values, schema))
    if (problems) {
        refuse("The parameters cannot be used:\n" + problems.collect { problem -> "  ${problem}" }.join('\n'), given.outdir)
    }
    return values
}

// A word that bash takes as it is.
def quoted(value) {
    return "'" + value.toString().replace("'", "'\\''") + "'"
}

// The settings that concern a step, as the command line takes them: --set name=value for each one that is set.
def settingsFor(String step, Map values, Map schema) {
    return schema.findAll { name, entry -> step in (entry['x-steps'] ?: []) && values[name] != null }
        .collect { name, _entry -> "--set ${quoted("${name}=${values[name]}")}" }
        .join(' ')
}

// The parameters that shape the results, for the report's list: not those of the machine, nor where the output goes.
def listedParameters(Map values, Map schema) {
    def elsewhere = ['Going on after a failure', 'Resources', 'Slurm (profile slurm)', 'Help']
    return schema.findAll { name, entry -> values[name] != null && !(entry.group in elsewhere) && !(name in ['outdir', 'report_title']) }
        .collect { name, _entry -> "--parameter ${quoted("${name}=${values[name]}")}" }
        .join(' ')
}
