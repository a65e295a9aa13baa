// What a study trains and registers: its methods, and with --ablations and --seeds variants of them.
//
// A setup is a set of settings with a name: '' for the study as it was asked for, with its own seed or, where --seeds
// lacks that, their first; 'no_pretraining', 'seed2', 'no_pretraining.seed2'. A run is a method with a setup;
// 'wssamnet.no_pretraining' is its name in folders and tables. A name does not depend on what else is asked for, so that -resume finds what was there before.

include { settingsFor ; inForce ; settingProblems ; refuse } from './parameters'

def listed(text) {
    return (text ?: '').tokenize(',').collect { item -> item.trim() }.unique()
}

def isAttentive(registrar) {
    return registrar in ['wssamnet', 'wssamnet_refined']
}

def isLearned(registrar) {
    return registrar == 'voxelmorph' || isAttentive(registrar)
}

// The variants of one factor: name -> the setting that differs. What the study has on is switched off, and the other way
// round; where there is a choice, every other one is tried.
def variantsOf(factor, Map values, Map schema) {
    def switches = [
        pretraining: ['pretraining_steps', schema.pretraining_steps['default']],
        log: ['log_sigma_mm', schema.log_sigma_mm['default']],
        mi: ['mi_weight', schema.mi_weight['default']],
        correlation: ['correlation_radius', schema.correlation_radius['x-best']],
        velocity: ['velocity', true],
        pyramid: ['pyramid', true],
        landmarks: ['landmark_weight', 0.05], // a millimetre counts as a twentieth of local correlation
        overlap: ['overlap_weight', 1],
    ]
    if (factor in switches) {
        def (name, on) = switches[factor]
        def off = !inForce(name, values, schema)
        return [("${off ? 'with' : 'no'}_${factor}".toString()): [(name): off ? on : on == true ? false : 0]]
    }
    return (schema[factor]['enum'] - inForce(factor, values, schema)).collectEntries { value -> ["${factor}_${value}".toString(), [(factor): value]] }
}

// seed: its place, 0 for the first, and the number itself; the study's own is said in the words that it has without --seeds.
def setupFor(variant, Map changes, List seed, Map values, Map schema) {
    def (place, number) = seed
    def own = values + changes + (number == inForce('seed', values, schema) ? [:] : [seed: number])
    return [
        name: [variant, place ? "seed${number}".toString() : null].findAll().join('.'),
        variant: variant, changes: changes, seed: inForce('seed', own, schema), pretrains: own.pretraining_steps != 0,
        words: ['preprocess', 'segmentation', 'pretraining', 'registration', 'voxelmorph'].collectEntries { step -> [(step): settingsFor(step, own, schema)] },
    ]
}

def runOf(registrar, Map setup) {
    return [method: [registrar, setup.name].findAll().join('.'), registrar: registrar, attentive: isAttentive(registrar), setup: setup]
}

// Every run once: [method, registrar, setup, source], where source says for each stage of WSSAMNet which setup trains it:
// the first that needs the very same, the study's own before its variants.
def plannedRuns(Map values, Map chosen, Map schema) {
    def methods = chosen.ours
    def factors = schema.ablations['x-items'].findAll { name -> name in listed(values.ablations) || 'all' in listed(values.ablations) } - 'all'
    if (factors && !('wssamnet' in methods)) {
        refuse("--ablations: variants are compared with wssamnet, which is not among --methods (${values.methods})", values.outdir)
    }
    if (values.seeds && !methods.any { name -> isLearned(name) }) {
        refuse("--seeds: none of --methods is trained (${values.methods}); voxelmorph, wssamnet and wssamnet_refined are", values.outdir)
    }
    def study = inForce('seed', values, schema)
    def numbers = values.seeds ? listed(values.seeds).collect { text -> text as int }.unique().sort { number -> number == study ? 0 : 1 } : [study]
    def seeds = numbers.withIndex().collect { number, place -> [place, number] }
    def own = seeds.collect { seed -> setupFor('', [:], seed, values, schema) }
    def variants = (factors - 'refinement').collectEntries { factor -> variantsOf(factor, values, schema) }
        .collectMany { name, changes -> seeds.collect { seed -> runOf('wssamnet', setupFor(name, changes, seed, values, schema)) } }
    def impossible = variants.collectMany { run -> settingProblems(values + run.setup.changes, schema) }.unique()
    if (impossible) {
        refuse("--ablations: a variant is not possible:\n" + impossible.collect { problem -> "  ${problem}" }.join('\n'), values.outdir)
    }
    // Refinement from the affine, the identity and the network's field; only the last depends on a seed.
    def unaligned = variantsOf('prealign', values, schema).collect { name, changes -> setupFor(name, changes, seeds[0], values, schema) }
    def refined = 'refinement' in factors
        ? (own.take(1) + unaligned).collect { setup -> runOf('refinement', setup) } + own.collect { setup -> runOf('wssamnet_refined', setup) }
        : []
    def main = (methods + chosen.own.keySet()).collectMany { name ->
        def run = runOf(name, own[0])
        name == 'ants' ? chosen.ants.keySet().collect { method -> run + [method: method] } : [run]
    }
    def repeated = methods.findAll { name -> isLearned(name) }.collectMany { name -> own.drop(1).collect { setup -> runOf(name, setup) } }
    def runs = (main + repeated + variants + refined).unique { run -> run.method }

    def stages = ['preprocess', 'segmentation', 'pretraining', 'registration']
    def trained = runs.findAll { run -> run.attentive }.collect { run -> run.setup }
    return runs.collect { run ->
        run + [source: stages.withIndex().collectEntries { stage, place ->
            def same = trained.find { other -> stages.take(place + 1).every { step -> other.words[step] == run.setup.words[step] } }
            [(stage): same?.name]
        }]
    }
}

// The runs that the table of variants compares, as CSV, the one that the others are compared with first.
def comparedRuns(List runs, Map values, Map chosen) {
    if (!values.ablations && !values.seeds) {
        return ''
    }
    def refinement = ['refinement', 'all'].any { name -> name in listed(values.ablations) }
    def rows = runs.findAll { run -> isLearned(run.registrar) || (refinement && run.registrar == 'refinement') }
        .sort { run -> run.registrar != 'wssamnet' ? 2 : run.setup.variant ? 1 : 0 }
        .collect { run ->
            def variant = [run.registrar, run.setup.variant].findAll().join('.')
            def changes = run.setup.changes.collect { name, value -> "${name}=${value}" }.join(' ')
            [run.method, variant, changes, isLearned(run.registrar) ? run.setup.seed : '', run.method in chosen.ours].join(',')
        }
    return (['method,variant,changes,seed,main'] + rows).join('\n')
}
